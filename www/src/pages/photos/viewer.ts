import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { format } from "../../parts/scale.ts";
import "../../parts/score-bars.ts";
import { bytes } from "../../parts/words.ts";
import { nameOf } from "../../state/files.ts";
import { collection } from "../../state/library/collection.ts";
import { visit } from "../../state/library/visit.ts";
import { models } from "../../state/models.ts";
import { openInPicture } from "./open-in-picture.ts";
import { searching } from "./searching.ts";
import { dateOf } from "./filtering.ts";
import { tagger } from "./tagger.ts";

/** A photo as large as the window allows, with all its scores. Arrow keys lead to its neighbours. */
class Viewer extends Part {
  #path: string | undefined;
  /** The photos of the grid, in its order. */
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

  /** Opens a photo; the user can go on to the others of `paths`. */
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
    const at = this.#paths.indexOf(path);
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
          <button type="button" aria-label="Previous photo" ?disabled=${at <= 0} @click=${() => this.#go(-1)}>←</button>
          <button
            type="button"
            aria-label="Next photo"
            ?disabled=${at < 0 || at >= this.#paths.length - 1}
            @click=${() => this.#go(1)}
          >
            →
          </button>
          <button type="button" autofocus @click=${() => this.#dialog?.close()}>Close</button>
        </div>
        <div class="both">
          <figure>
            <div class="stage">
              ${this.#url ? html`<img src=${this.#url} alt=${nameOf(path)} @error=${() => this.#whole && this.#preview(path)} />` : nothing}
            </div>
            <figcaption class="small">${this.#facts(path)}</figcaption>
          </figure>
          <div class="aside">${this.#ways(path)} ${this.#scores(path)}</div>
        </div>
      </div>
    </dialog>`;
  }

  #facts(path: string) {
    const known = collection.pictures.get(path);
    const { width, height } = known ?? {};
    const hit = searching.hits.find(({ id }) => id === path);
    const facts = [
      path,
      width && height && `${width} × ${height}`,
      known && bytes(known.size),
      known && dateOf(known) > 0 && new Date(dateOf(known)).toLocaleDateString("en", { dateStyle: "medium" }),
      hit && `similarity ${format("cosine", hit.score)}`,
    ].filter(Boolean);
    return html`${facts.join(" · ")}
    ${this.#url && !this.#whole ? html`<br />This is a preview: the file itself can't be read in this visit.` : nothing}`;
  }

  #scores(path: string) {
    const { several, threshold } = tagger.rule;
    const broken = collection.pictures.get(path)?.broken;
    return broken === undefined
      ? html`<ocelli-score-bars
          .answer=${tagger.all(path)}
          .score=${several ? "sigmoid" : (models.info?.defaultScore ?? "softmax")}
          .threshold=${threshold}
        ></ocelli-score-bars>`
      : html`<p class="wrong">${broken}</p>`;
  }

  /** What else can be done with the photo. */
  #ways(path: string) {
    return html`<div class="row">
      <button type="button" ?disabled=${!collection.index?.has(path)} @click=${() => this.#like(path)}>
        More like this
      </button>
      <button type="button" ?disabled=${!this.#whole} @click=${() => void this.#toPicture(path)}>
        Open in Picture
      </button>
    </div>`;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.querySelector("dialog");
  }

  #like(path: string): void {
    this.#dialog?.close();
    searching.ask({ like: path });
  }

  async #toPicture(path: string): Promise<void> {
    const file = await visit.readable(path);
    this.#dialog?.close();
    if (file) await openInPicture(file);
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
