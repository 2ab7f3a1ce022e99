import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { bytes } from "../../parts/words.ts";
import "../../parts/score-bars.ts";
import { nameOf } from "../../state/files.ts";
import { collection } from "../../state/library/collection.ts";
import { visit } from "../../state/library/visit.ts";
import { models } from "../../state/models.ts";
import { tagger } from "./tagger.ts";

/** A picture as large as the window allows, with all its scores. Arrow keys lead to its neighbours. */
class Viewer extends Part {
  #path: string | undefined;
  /** The pictures of the grid, in its order. */
  #paths: readonly string[] = [];
  #url: string | undefined;
  /** Whether the file itself is shown and not its preview. */
  #whole = false;

  constructor() {
    super();
    this.watch(tagger);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#picture(undefined);
  }

  /** Opens a picture; the user can go on to the others of `paths`. */
  async show(path: string, paths: readonly string[]): Promise<void> {
    this.#path = path;
    this.#paths = paths;
    this.#picture(undefined);
    this.requestUpdate();
    await this.updateComplete;
    const dialog = this.#dialog;
    if (dialog && !dialog.open) dialog.showModal();
    const file = await visit.readable(path);
    // Without the file its preview must do.
    if (!file) return this.#preview(path);
    if (path !== this.#path) return;
    this.#whole = true;
    this.#picture(file);
  }

  protected override render() {
    const path = this.#path;
    if (path === undefined) return html`<dialog></dialog>`;
    const known = collection.pictures.get(path);
    const at = this.#paths.indexOf(path);
    const { several, threshold } = tagger.rule;
    return html`<dialog
      class="viewer"
      aria-labelledby="viewer-name"
      @close=${() => this.#closed()}
      @keydown=${(event: KeyboardEvent) => this.#key(event)}
      @click=${(event: Event) => event.target === event.currentTarget && this.#dialog?.close()}
    >
      <div class="inner">
        <div class="row">
          <h2 id="viewer-name">${nameOf(path)}</h2>
          <button type="button" aria-label="Previous image" ?disabled=${at <= 0} @click=${() => this.#go(-1)}>←</button>
          <button
            type="button"
            aria-label="Next image"
            ?disabled=${at < 0 || at >= this.#paths.length - 1}
            @click=${() => this.#go(1)}
          >
            →
          </button>
          <button type="button" autofocus @click=${() => this.#dialog?.close()}>Close</button>
        </div>
        <div class="both">
          <figure>
            ${this.#url ? html`<img src=${this.#url} alt=${nameOf(path)} @error=${() => this.#whole && this.#preview(path)} />` : nothing}
            <figcaption class="small">
              ${path}${known ? `, ${bytes(known.size)}, ${new Date(known.modified).toLocaleDateString()}` : ""}
              ${this.#url && !this.#whole ? html`<br />This is a preview: the file itself can't be read in this visit.` : nothing}
            </figcaption>
          </figure>
          ${
            known?.broken === undefined
              ? html`<ocelli-score-bars
                  .answer=${tagger.all(path)}
                  .score=${several ? "sigmoid" : (models.info?.defaultScore ?? "softmax")}
                  .threshold=${threshold}
                ></ocelli-score-bars>`
              : html`<p class="wrong">${known.broken}</p>`
          }
        </div>
      </div>
    </dialog>`;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.querySelector("dialog");
  }

  async #preview(path: string): Promise<void> {
    const blob = await visit.thumbnail(path).catch(() => undefined);
    if (path !== this.#path) return;
    this.#whole = false;
    this.#picture(blob);
  }

  #picture(blob: Blob | undefined): void {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = blob && URL.createObjectURL(blob);
    this.requestUpdate();
  }

  #go(by: number): void {
    const path = this.#paths[this.#paths.indexOf(this.#path ?? "") + by];
    if (path !== undefined) void this.show(path, this.#paths);
  }

  #key({ key }: KeyboardEvent): void {
    if (key === "ArrowLeft") this.#go(-1);
    if (key === "ArrowRight") this.#go(1);
  }

  #closed(): void {
    this.#path = undefined;
    this.#picture(undefined);
  }
}

customElements.define("ocelli-viewer", Viewer);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-viewer": Viewer;
  }
}
