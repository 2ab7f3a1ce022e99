import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { noteOf } from "../../parts/words.ts";
import { models } from "../../state/models.ts";
import "./benchmark-view.ts";
import { factsOf } from "./facts.ts";
import "./self-test.ts";

/** The model in use: what it is, on what it runs, and whether and how fast it does. */
class InUse extends Part {
  constructor() {
    super();
    this.watch(models);
  }

  protected override render() {
    const { info, choice, loading } = models;
    if (!info || !choice)
      return html`<h2>In use</h2>
        <p>${loading ? "The first model is loading." : "None. Choose one below."}</p>`;
    return html` <h2>In use: ${choice.name}</h2>
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
        <ocelli-self-test></ocelli-self-test>
        <ocelli-benchmark></ocelli-benchmark>
      </div>`;
  }
}

customElements.define("ocelli-model-in-use", InUse);
