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
          <a href="#/${page}/${task}" aria-current=${task === current ? "true" : nothing}
            >${toolNames[task]}${modelsOf[task].last || ownFor(task) ? nothing : html`<span class="more" title="Needs a model">↓</span>`}</a
          >
        </li>`,
    )}
  </ul>`;
}
