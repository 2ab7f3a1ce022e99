import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { address } from "../state/address.ts";
import { modelsOf, tasks } from "../state/models.ts";
import { howFar } from "./model-load.ts";

/**
 * The model that the page uses, in the link to the page "Models"; while another one loads, how far it has come. Its room is kept for it.
 */
class ModelChip extends Part {
  constructor() {
    super();
    this.watch(address, ...Object.values(modelsOf));
  }

  protected override render() {
    const task = tasks.find((task) => task === address.part) ?? "label";
    const { loading, choice, failed } = modelsOf[task];
    const part = loading ? howFar(loading).part : undefined;
    const name = loading?.choice.name ?? choice?.name ?? "No model";
    const percent = part === undefined ? "" : `${Math.floor(100 * part)}%`;
    return html`<span class="name">${name}</span>
      <span class="state">${loading ? percent || "…" : failed ? "!" : html`<span aria-hidden="true">▾</span>`}</span>
      ${loading ? html`<i aria-hidden="true" .style=${`--part: ${part ?? 0}`}></i>` : nothing}`;
  }
}

customElements.define("ocelli-model-chip", ModelChip);
