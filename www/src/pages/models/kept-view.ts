import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { bytes } from "../../parts/words.ts";
import { notice } from "../../parts/notice.ts";
import { modelsOf } from "../../state/models.ts";
import { kept, type KeptModel } from "../../state/kept.ts";

/** The models that are stored in this browser, with buttons that delete them. */
class KeptView extends Part {
  /** A sentence about the last action. */
  #said = "";

  constructor() {
    super();
    this.watch(kept, ...Object.values(modelsOf));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void kept.read();
  }

  protected override render() {
    const all = kept.models;
    return html` <h2>Saved on this device</h2>
      <p class="small">Saved in this browser, so they work offline.</p>
      ${
        all.length > 0
          ? html`<ul class="kept" aria-label="Saved models">
                ${all.map((one) => this.#row(one))}
              </ul>
              <p class="row">
                <span class="grow">${bytes(all.reduce((sum, one) => sum + one.bytes, 0))} in total</span>
                <button type="button" @click=${() => void this.#removeAll()}>Remove all</button>
              </p>`
          : html`<p>Nothing is saved yet.</p>`
      }
      ${this.#storage()}
      <p class="small" role="status">${this.#said}</p>
      ${kept.failed ? notice(kept.failed, () => void kept.read()) : nothing}`;
  }

  #row(one: KeptModel) {
    return html`<li>
      <span class="grow"
        ><b>${one.name}</b>${this.#inUse(one) ? html` <span class="badge">in use</span>` : nothing}
        <span class="small">${bytes(one.bytes)}, saved ${one.when.toLocaleDateString()}</span></span
      >
      <button type="button" aria-label="Remove ${one.name}" @click=${() => void this.#remove(one)}>Remove</button>
    </li>`;
  }

  #storage() {
    const { usage, quota, persisted } = kept.storage ?? {};
    if (quota === undefined) return nothing;
    return html`<p class="row storage">
      <span class="grow"
        >This site uses ${bytes(usage ?? 0)} of the ${bytes(quota)} that your browser allows.
        ${persisted ? "Protected from automatic clean-up." : "Your browser may clear it when space runs short."}</span
      >
      ${persisted ? nothing : html`<button type="button" @click=${() => void this.#persist()}>Protect from automatic clean-up</button>`}
    </p>`;
  }

  #inUse(one: KeptModel): boolean {
    return Object.values(modelsOf).some(({ choice }) => choice?.source === one.source);
  }

  async #remove(one: KeptModel): Promise<void> {
    await kept.remove(one);
    this.#say(kept.failed ? "" : `${one.name} was removed.${this.#inUse(one) ? ` ${again}` : ""}`);
  }

  async #removeAll(): Promise<void> {
    if (!confirm("Remove the files of all models? You would have to download them again.")) return;
    await kept.remove();
    this.#say(kept.failed ? "" : `All models were removed. ${again}`);
  }

  async #persist(): Promise<void> {
    await kept.persist();
    this.#say(
      kept.storage?.persisted
        ? "Protected from now on."
        : "Your browser said no. It may agree after some visits, or once this app is installed.",
    );
  }

  #say(words: string): void {
    this.#said = words;
    this.requestUpdate();
  }
}

const again = "You can keep using the current model until you leave. The next visit downloads it again.";

customElements.define("ocelli-kept-models", KeptView);
