import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { download } from "../parts/dom.ts";
import { menu } from "../parts/menu.ts";
import { knowledge } from "../parts/model-hint.ts";
import { number } from "../parts/words.ts";
import { collection } from "../state/library/collection.ts";
import { folders } from "../state/library/folders.ts";
import { indexer } from "../state/library/indexer.ts";
import { models } from "../state/models.ts";
import { switching } from "../state/switching.ts";
import { followAddress } from "./photos/address.ts";
import "./photos/bookkeeping.ts";
import "./photos/duplicates.ts";
import "./photos/errand-view.ts";
import { counting, describing } from "./photos/errands.ts";
import "./photos/index-file.ts";
import "./photos/photo-list.ts";
import { csv, json } from "./photos/results.ts";
import { filtering } from "./photos/filtering.ts";
import { tagger } from "./photos/tagger.ts";
import "./photos/viewer.ts";

type View = "photos" | "duplicates" | "unreadable" | "index" | "describe" | "count";

const titles: Record<View, string> = {
  photos: "Photos",
  duplicates: "Near-duplicates",
  unreadable: "Unreadable files",
  index: "Search index",
  describe: describing.title,
  count: counting.title,
};

/** A collection of photos: found by words, tagged, and cleared of near-duplicates. */
class PhotosPage extends Part {
  #view: View = "photos";

  constructor() {
    super();
    this.watch(collection, folders, models, tagger);
    followAddress(this);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void folders.open();
    void switching.resume("label");
  }

  protected override render() {
    // Nobody shall see an empty page for a moment who has photos.
    if (!folders.isOpen) return html`<h1>Photos</h1>`;
    const empty = collection.pictures.size === 0;
    return html`<div class="photos-head">
        <h1>Photos</h1>
        <ocelli-bookkeeping></ocelli-bookkeeping>
      </div>
      ${models.isBuiltIn && collection.hasPhotos ? html`<ocelli-model-hint .says=${"These look like photos."}></ocelli-model-hint>` : nothing}
      ${empty ? this.#nothing() : this.#collection()} ${knowledge()}
      <ocelli-viewer></ocelli-viewer>`;
  }

  /** An index from elsewhere is a way to begin, for those who have one. */
  #nothing() {
    return html`<details class="import">
      <summary class="small">Import a search index</summary>
      <ocelli-index-file></ocelli-index-file>
    </details>`;
  }

  #collection() {
    const view = this.#view === "unreadable" && collection.broken.length === 0 ? "photos" : this.#view;
    const open = ({ detail: { path, paths } }: CustomEvent<{ path: string; paths: string[] }>) =>
      void this.querySelector("ocelli-viewer")?.show(path, paths);
    if (view === "photos") return html`<ocelli-photo-list @pick=${open} .more=${this.#menu()}></ocelli-photo-list>`;
    return html`<section class="view" aria-label=${titles[view]}>
      <div class="row">
        <button type="button" @click=${() => this.#to("photos")}>← All photos</button>
        <h2>${titles[view]}</h2>
      </div>
      ${view === "duplicates" ? html`<ocelli-duplicates @pick=${open}></ocelli-duplicates>` : nothing}
      ${view === "unreadable" ? unreadable() : nothing}
      ${view === "describe" ? html`<ocelli-errand .kind=${describing}></ocelli-errand>` : nothing}
      ${view === "count" ? html`<ocelli-errand .kind=${counting}></ocelli-errand>` : nothing}
      ${view === "index" ? html`<ocelli-index-file></ocelli-index-file>` : nothing}
    </section>`;
  }

  #menu() {
    const { broken, seen } = collection;
    const way = (words: string, run: () => void, off = false) =>
      html`<button type="button" ?disabled=${off} @click=${run}>${words}</button>`;
    return menu(
      "More",
      html`${way("Near-duplicates", () => this.#to("duplicates"), seen.length < 2)}
      ${way("Describe all…", () => this.#to("describe"))} ${way("Count things…", () => this.#to("count"))}
      ${broken.length > 0 ? way(`Unreadable files (${number(broken.length)})`, () => this.#to("unreadable")) : nothing}
      ${way("Save tags as CSV", () => save("csv"), seen.length === 0)}
      ${way("Save tags as JSON", () => save("json"), seen.length === 0)}
      ${way("Search index…", () => this.#to("index"))}`,
      "end",
    );
  }

  #to(view: View): void {
    this.#view = view;
    this.requestUpdate();
  }
}

customElements.define("ocelli-photos", PhotosPage);

function unreadable() {
  return html`<p class="small">These files are skipped. All others are fine.</p>
    <ul class="broken">
      ${collection.broken.slice(0, 500).map(({ path, broken }) => html`<li><b>${path}</b> <span class="wrong">${broken}</span></li>`)}
    </ul>
    <button type="button" @click=${() => void indexer.retry()}>Try again</button>`;
}

/** The tags of all photos, in the order of the page. */
function save(kind: "csv" | "json"): void {
  const photos = filtering.rows(filtering.candidates).filter(({ path }) => collection.index?.has(path));
  if (kind === "csv") return download(csv(photos), "ocelli-tags.csv");
  const { several, threshold } = tagger.rule;
  const { names, text } = tagger.labels;
  const making = {
    model: models.choice?.name ?? "",
    modelHash: models.info?.modelHash ?? "",
    labels: names,
    template: text.template,
    several,
    threshold,
  };
  download(json(photos, making), "ocelli-tags.json");
}
