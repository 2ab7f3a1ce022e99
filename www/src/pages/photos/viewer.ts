import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { format } from "../../parts/scale.ts";
import "../../parts/score-bars.ts";
import { toolButtons } from "../../parts/tool-switch.ts";
import { bytes } from "../../parts/words.ts";
import { nameOf } from "../../state/files.ts";
import { collection } from "../../state/library/collection.ts";
import { visit } from "../../state/library/visit.ts";
import { models, modelsOf, type Task } from "../../state/models.ts";
import { pictureOf, type Picture } from "../../state/picture.ts";
import { shown } from "../../state/shown.ts";
import { Toolbox } from "../../tools/toolbox.ts";
import { searching } from "./searching.ts";
import { dateOf } from "./filtering.ts";
import { tagger } from "./tagger.ts";

/** What can be done with a photo besides reading its tags. */
const tasks: readonly Task[] = ["find", "cut", "ask"];

/** A photo as large as the window allows, with its tags or a tool that looks at it. Arrow keys lead to its neighbours. */
class Viewer extends Part {
  readonly #tools = new Toolbox();
  #path: string | undefined;
  /** The photos of the grid, in its order. */
  #paths: readonly string[] = [];
  #url: string | undefined;
  /** The file, if it is shown and not its preview. */
  #file: File | undefined;
  /** The photo as the tools have it, if they do. */
  #given: Picture | undefined;

  constructor() {
    super();
    this.watch(tagger, shown, this.#tools, ...Object.values(modelsOf));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#picture(undefined);
  }

  /** Opens a photo; the user can go on to the others of `paths`. */
  async show(path: string, paths: readonly string[]): Promise<void> {
    this.#path = path;
    this.#paths = paths;
    this.#given = undefined;
    this.#picture(undefined);
    this.requestUpdate();
    await this.updateComplete;
    const dialog = this.#dialog;
    if (dialog && !dialog.open) dialog.showModal();
    const file = await visit.readable(path);
    // Without the file its preview must do.
    if (!file) return this.#preview(path);
    if (path !== this.#path) return;
    this.#file = file;
    this.#picture(file);
    await this.#give();
  }

  protected override render() {
    const path = this.#path;
    if (path === undefined) return html`<dialog></dialog>`;
    const at = this.#paths.indexOf(path);
    const task = this.#file && this.#tools.task;
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
              ${
                this.#url
                  ? html`<div class="photo">
                      <img src=${this.#url} alt=${nameOf(path)} @error=${() => this.#file && this.#preview(path)} />
                      <div class="frame">${this.#looking ? this.#tools.layer : nothing}</div>
                    </div>`
                  : nothing
              }
            </div>
            <figcaption class="small">${this.#facts(path)}</figcaption>
          </figure>
          <div class="aside">
            ${this.#ways(path)} ${toolButtons("Tags", tasks, task, (task) => void this.#use(task), !this.#file)}
            ${
              // Until the next photo is decoded, a tool would ask about the one before.
              task ? html`<div ?inert=${!this.#looking}>${this.#tools.view()}</div>` : this.#scores(path)
            }
          </div>
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
    ${this.#url && !this.#file ? html`<br />This is a preview: the file itself can't be read in this visit.` : nothing}`;
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

  /** Where else the photo leads. */
  #ways(path: string) {
    return html`<div class="row">
      <button type="button" ?disabled=${!collection.index?.has(path)} @click=${() => this.#like(path)}>
        More like this
      </button>
      <button type="button" ?disabled=${!this.#file} @click=${() => void this.#toPicture()}>Open in Picture</button>
    </div>`;
  }

  /** Whether the tools look at this photo. */
  get #looking(): boolean {
    return this.#given !== undefined && this.#given === shown.picture;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.querySelector("dialog");
  }

  #like(path: string): void {
    this.#dialog?.close();
    searching.ask({ like: path });
  }

  /** Takes a tool; without one, the tags are shown. */
  async #use(task: Task | undefined): Promise<void> {
    void this.#tools.take(task);
    await this.#give();
  }

  /** Gives the photo to the tools, if one is in use. */
  async #give(): Promise<void> {
    const [path, file] = [this.#path, this.#file];
    if (!path || !file || !this.#tools.task || this.#given) return;
    try {
      const picture = await pictureOf(file, nameOf(path));
      // The user is at another photo by now, or a second click was faster.
      if (file !== this.#file || this.#given) return URL.revokeObjectURL(picture.address);
      shown.take((this.#given = picture));
    } catch {
      if (file === this.#file) await this.#preview(path);
    }
  }

  async #toPicture(): Promise<void> {
    if (!this.#file) return;
    const picture = this.#given ?? (await pictureOf(this.#file, this.#file.name));
    this.#dialog?.close();
    if (picture !== shown.picture) shown.take(picture);
    location.hash = "#/picture";
  }

  async #preview(path: string): Promise<void> {
    const blob = await visit.thumbnail(path).catch(() => undefined);
    if (path !== this.#path) return;
    this.#file = undefined;
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

  #key({ key, target }: KeyboardEvent): void {
    // In a field the arrows move what is typed.
    if ((target as Element).matches("input, textarea")) return;
    if (key === "ArrowLeft") this.#go(-1);
    if (key === "ArrowRight") this.#go(1);
  }

  #closed(): void {
    this.#path = this.#given = undefined;
    this.#picture(undefined);
  }
}

customElements.define("ocelli-viewer", Viewer);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-viewer": Viewer;
  }
}
