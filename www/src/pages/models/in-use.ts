import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { noteOf } from "../../parts/words.ts";
import { modelsOf, type Task } from "../../state/models.ts";
import "./benchmark-view.ts";
import { factsOf } from "./facts.ts";
import { uses } from "./memory.ts";
import "./self-test.ts";

/** The model in use for a task: what it is, on what it runs, and whether and how fast it does. */
class InUse extends Part {
  static override properties = { task: { attribute: false } };
  declare task: Task;

  constructor() {
    super();
    this.task = "label";
    this.watch(...Object.values(modelsOf));
  }

  protected override render() {
    const { task } = this;
    const { info, choice, loading } = modelsOf[task];
    if (!info || !choice)
      return html`<h2>In use</h2>
        <p>${loading ? "The model is loading." : "None. Choose one below."}</p>`;
    return html` <h2>In use: ${choice.name}</h2>
      <p class="small">For ${uses[task]}.</p>
      ${noteOf(info) ? html`<p class="note">${noteOf(info)}</p>` : nothing}
      <dl class="facts">
        ${factsOf(info).map(
          ([name, value]) =>
            html`<div>
              <dt>${name}</dt>
              <dd>${value}</dd>
            </div>`,
        )}
      </dl>
      <div class="trials">
        <ocelli-self-test .task=${task}></ocelli-self-test>
        ${task === "label" ? html`<ocelli-benchmark></ocelli-benchmark>` : nothing}
      </div>`;
  }
}

customElements.define("ocelli-model-in-use", InUse);
