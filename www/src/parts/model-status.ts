import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { builtIn, models } from "../state/models.ts";
import { notice } from "./notice.ts";

/**
 * What every page says of the model: why its load failed, or that the GPU was reset; nothing while all is well. How far a load has come is
 * in the header. What was asked for at a place that is on the page is shown there instead (`.load-here`, by the style sheet).
 */
class ModelStatus extends Part {
  constructor() {
    super();
    this.watch(models);
  }

  protected override render() {
    const { failed, lost } = models;
    return html` ${failed ? notice(failed.error, () => void models.load(failed.choice, failed.place)) : nothing}
      ${
        failed && !models.model && failed.choice.source !== builtIn.source
          ? html`<button type="button" @click=${() => void models.load(builtIn)}>Use the built-in model</button>`
          : nothing
      }
      ${lost ? html`<p class="small">The GPU was reset. The model reloads with your next question.</p>` : nothing}
      <p class="hidden" role="status">${this.#spoken()}</p>`;
  }

  /** Progress for a screen reader, in quarters, because every step would be too often. */
  #spoken(): string {
    const { loading, failed, model } = models;
    if (failed) return "The model could not be loaded";
    if (!loading) return model ? "The model is ready" : "";
    const { loaded = 0, total = 0 } = loading.progress ?? {};
    const quarter = total > 0 ? Math.floor((4 * loaded) / total) * 25 : 0;
    return quarter > 0 ? `Loading the model: ${quarter} percent` : "Loading the model";
  }
}

customElements.define("ocelli-model-status", ModelStatus);
