import { html, nothing } from "lit";
import { ownFor } from "../state/catalog.ts";
import { modelsOf, type Task } from "../state/models.ts";

/** What the tools are called. */
export const toolNames: Record<Task, string> = { label: "Label", find: "Find", cut: "Cut out", ask: "Ask" };

/** One of a page's tools, each with an address of its own. An arrow says that its model is not here yet. */
export function toolSwitch(page: string, tasks: readonly Task[], current: Task) {
  return html`<ul class="tools" aria-label="Tools">
    ${tasks.map(
      (task) =>
        html`<li>
          <a href="#/${page}/${task}" aria-current=${task === current ? "true" : nothing}>${nameOf(task)}</a>
        </li>`,
    )}
  </ul>`;
}

/** The same where tools have no address. `none` is what there is without a tool, and `take` is told which one is wanted. */
export function toolButtons(
  none: string,
  tasks: readonly Task[],
  current: Task | undefined,
  take: (task: Task | undefined) => void,
  disabled: boolean,
) {
  const button = (task: Task | undefined) =>
    html`<li>
      <button
        type="button"
        aria-pressed=${String(task === current)}
        ?disabled=${disabled && task}
        @click=${() => take(task)}
      >
        ${task ? nameOf(task) : none}
      </button>
    </li>`;
  return html`<ul class="tools" aria-label="Tools">
    ${[undefined, ...tasks].map(button)}
  </ul>`;
}

function nameOf(task: Task) {
  const isHere = modelsOf[task].last || ownFor(task);
  return html`${toolNames[task]}${isHere ? nothing : html`<span class="more" title="Needs a model">↓</span>`}`;
}
