import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { Arrivals, pictureIn } from "../parts/arrivals.ts";
import "../parts/collection-view.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import "../parts/picture-grid.ts";
import { format } from "../parts/scale.ts";
import "../parts/thumbnail.ts";
import { nameOf } from "../state/files.ts";
import { collection } from "../state/library/collection.ts";
import { folders } from "../state/library/folders.ts";
import { indexer } from "../state/library/indexer.ts";
import { models } from "../state/models.ts";
import "./search/hit-dialog.ts";
import "./search/index-file.ts";
import { parse, wrongSentence, type Query } from "./search/query.ts";
import { searching } from "./search/searching.ts";

class SearchPage extends Part {
  readonly #arrivals = new Arrivals(
    this,
    // Into an empty collection, what is dropped is its first photos.
    (data) => collection.pictures.size > 0 && this.#take(pictureIn(data)),
    (picture) => this.#take(picture),
  );
  #wrong = "";
  /** The picture of the query, and its object URL. */
  #picture: { blob: Blob; url: string } | undefined;

  constructor() {
    super();
    this.watch(models, collection, indexer, searching);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void folders.open();
  }

  protected override render() {
    const empty = collection.pictures.size === 0;
    return html` <h1>Search</h1>
      <p>Search your photos with words or an image.</p>
      ${knowledge()}
      ${models.isBuiltIn && collection.hasPhotos ? html`<ocelli-model-hint .says=${"These look like photos."}></ocelli-model-hint>` : nothing}
      <div class="search">
        ${empty ? html`<ocelli-collection></ocelli-collection>` : html`${this.#form()}${this.#answer()}`}
        <details class="sheet">
          <summary>Export or import the search index</summary>
          <ocelli-index-file></ocelli-index-file>
        </details>
      </div>
      <ocelli-hit-dialog></ocelli-hit-dialog>`;
  }

  #form() {
    const { query, folder, sentence } = searching;
    const wrong = wrongSentence(sentence);
    return html` <form
      class=${this.#arrivals.over ? "sheet over" : "sheet"}
      role="search"
      @submit=${(event: Event) => event.preventDefault()}
    >
      <label for="search-words">What are you looking for?</label>
      <div class="row">
        <input
          id="search-words"
          class="grow"
          type="search"
          autocomplete="off"
          spellcheck="false"
          placeholder="guitar"
          aria-describedby="search-help"
          .value=${"words" in query ? query.words : ""}
          @input=${(event: InputEvent) => this.#ask({ words: (event.target as HTMLInputElement).value }, true)}
        />
        <span
          ><input
            id="search-picture"
            type="file"
            accept="image/*"
            class="hidden"
            @change=${(event: Event) => this.#chosen(event.target as HTMLInputElement)}
          />
          <label for="search-picture" class="button">Search by image</label></span
        >
      </div>
      <p id="search-help" class="small">Exclude with a minus: animal -dog. You can also drop or paste an image.</p>
      ${this.#wrong ? html`<p class="wrong" role="alert">${this.#wrong}</p>` : nothing}
      ${"words" in query ? nothing : this.#likeness(query)}
      ${
        collection.folders.length > 1
          ? html`<div class="row within">
              <label for="search-folder">Folder</label>
              <select
                id="search-folder"
                class="grow"
                .value=${folder}
                @change=${(event: Event) => searching.within((event.target as HTMLSelectElement).value)}
              >
                <option value="">All folders</option>
                ${collection.folders.map(({ name }) => html`<option value=${name} ?selected=${name === folder}>${name}</option>`)}
              </select>
            </div>`
          : nothing
      }
      <details>
        <summary class="small">Prompt${wrong ? "" : `: ${sentence || "none"}`}</summary>
        <input
          type="text"
          autocomplete="off"
          spellcheck="false"
          placeholder="none: your words as typed"
          aria-label="Prompt"
          aria-describedby="search-sentence"
          .value=${sentence}
          aria-invalid=${wrong ? "true" : nothing}
          @input=${(event: InputEvent) => (searching.sentence = (event.target as HTMLInputElement).value)}
        />
        <p id="search-sentence" class=${wrong ? "wrong" : "small"}>
          ${wrong ?? "{} is replaced by your words. Some models find more with “a photo of a {}”."}
        </p>
      </details>
    </form>`;
  }

  /** Shows the picture of the query in place of words. */
  #likeness(query: Exclude<Query, { words: string }>) {
    const inside = "like" in query;
    const name = inside ? nameOf(query.like) : query.name;
    return html`<div class="row likeness">
      ${inside ? html`<ocelli-thumbnail .path=${query.like} .alt=${name}></ocelli-thumbnail>` : html`<img src=${this.#urlOf(query.picture)} alt=${name} />`}
      <p class="grow">Images like <strong>${name}</strong></p>
      <button type="button" @click=${() => this.#ask({ words: "" })}>Back to words</button>
    </div>`;
  }

  #answer() {
    const { hits, more, behind, asks, failed } = searching;
    const items = hits.map(({ id, score }) => ({ path: id, caption: nameOf(id), badge: format("cosine", score) }));
    return html` <section aria-label="Hits" aria-busy=${behind ? "true" : "false"}>
      ${this.#state()} ${asks ? nothing : this.#suggestions()}
      <div role="alert">${failed ? notice(failed, () => searching.again()) : nothing}</div>
      <ocelli-picture-grid
        .items=${items}
        .label=${"Images found, best first"}
        @pick=${(event: CustomEvent<string>) => void this.querySelector("ocelli-hit-dialog")?.show(event.detail)}
      ></ocelli-picture-grid>
      ${more ? html`<p class="more"><button type="button" @click=${() => searching.showMore()}>Show more</button></p>` : nothing}
      ${asks && hits.length > 0 ? html`<p class="small legend">Similarity from −1 to 1. Compare only within one search.</p>` : nothing}
    </section>`;
  }

  /** Words to begin with. */
  #suggestions() {
    const words = models.isBuiltIn
      ? ["animal", "food", "guitar"]
      : ["dog", "beach", "food", "people outdoors", "sunset"];
    return html`<div class="row" role="group" aria-label="Suggestions">
      ${words.map((word) => html`<button type="button" @click=${() => this.#ask({ words: word })}>${word}</button>`)}
    </div>`;
  }

  /** What is in the collection, what of it can be found, and what comes now. */
  #state() {
    const [size, waiting] = [collection.index?.size ?? 0, collection.waiting.length];
    const { progress } = indexer;
    return html`<p class="small" role="status">${this.#spoken(size)}</p>
      ${
        waiting > 0
          ? html`<p class="small">
              ${waiting === 1 ? "1 image is" : `${waiting} images are`} not indexed yet
              ${progress && !progress.paused ? "and will appear as they are." : html`and can't be found: <a href="#/tag">continue on Tag</a>.`}
            </p>`
          : nothing
      }`;
  }

  #spoken(size: number): string {
    const { query, hits, more, asks, behind, answered } = searching;
    if (!collection.index) return "The model is loading.";
    const all = size === 1 ? "1 image" : `${size.toLocaleString("en")} images`;
    if (!asks || (behind && !answered)) return `${all} ready to search.`;
    if ("words" in query && !parse(query.words).wanted) return "Add something to look for, too.";
    if (behind && hits.length === 0) return "Searching…";
    if (hits.length === 0)
      return size === 0
        ? "No images are indexed yet."
        : "words" in query
          ? "No matches. Try other words."
          : "There are no other images here.";
    return more
      ? `Best ${hits.length} of ${all}.`
      : `All images${searching.folder ? " in this folder" : ""}, best first.`;
  }

  #ask(query: Query, typing = false): void {
    this.#wrong = "";
    searching.ask(query, typing);
  }

  #urlOf(blob: Blob): string {
    if (this.#picture?.blob !== blob) {
      if (this.#picture) URL.revokeObjectURL(this.#picture.url);
      this.#picture = { blob, url: URL.createObjectURL(blob) };
    }
    return this.#picture.url;
  }

  #take(file: File | undefined): void {
    if (file) return this.#ask({ picture: file, name: file.name || "pasted image" });
    this.#wrong = "That is not an image file. Your last results stay.";
    this.requestUpdate();
  }

  #chosen(input: HTMLInputElement): void {
    const file = input.files?.[0];
    input.value = ""; // the same file again is a change again
    if (file) this.#take(file);
  }
}

customElements.define("ocelli-search", SearchPage);
