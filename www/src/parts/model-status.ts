import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { builtIn, models } from "../state/models.ts";
import { notice } from "./notice.ts";
import { bytes } from "./words.ts";

/** What every page says of the model: how far its load has come, or why it failed; nothing while all is well. */
class ModelStatus extends Part {
  constructor() {
    super();
    this.watch(models);
  }

  protected override render() {
    const { loading, failed, lost } = models;
    return html` ${loading ? this.#loading(loading.choice.name, loading.progress?.loaded ?? 0, loading.progress?.total ?? 0) : nothing}
      ${failed ? notice(failed.error, () => void models.load(failed.choice)) : nothing}
      ${
        failed && !models.model && failed.choice.source !== builtIn.source
          ? html`<button type="button" @click=${() => void models.load(builtIn)}>Use the model of this app</button>`
          : nothing
      }
      ${lost ? html`<p class="small">The GPU was taken away; the next question brings the model back.</p>` : nothing}
      <p class="hidden" role="status">${this.#spoken()}</p>`;
  }

  #loading(name: string, loaded: number, total: number) {
    const what = total > 0 ? `${bytes(loaded)} of ${bytes(total)}` : loaded > 0 ? bytes(loaded) : "…";
    return html`<div class="loading">
      <label for="model-progress">Loading ${name}: <span>${what}</span></label>
      <progress id="model-progress" max="1" .value=${total > 0 ? loaded / total : nothing}></progress>
      ${models.model ? html`<button type="button" @click=${() => models.stop()}>Cancel</button>` : nothing}
    </div>`;
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
