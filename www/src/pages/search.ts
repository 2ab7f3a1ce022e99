import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { Arrivals, pictureIn } from "../parts/arrivals.ts";
import { notice } from "../parts/notice.ts";
import "../parts/picture-grid.ts";
import { format } from "../parts/scale.ts";
import { meanings } from "../parts/score-bars.ts";
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
    (data) => this.#take(pictureIn(data)),
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
      <p>Find pictures of your collection by words, or by a picture.</p>
      <div class="search">
        ${
          empty
            ? html`<section class="sheet empty" aria-label="Collection">
                <h2>There are no pictures here yet</h2>
                <p>
                  Pick a folder on the page Tag. Its pictures can then be found here, also on later visits and without a
                  network.
                </p>
                <p><a class="button primary" href="#/tag">Pick a folder</a></p>
              </section>`
            : html`${this.#form()}${this.#answer()}`
        }
        <details class="sheet">
          <summary>The index as a file</summary>
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
          <label for="search-picture" class="button">By a picture</label></span
        >
      </div>
      <p id="search-help" class="small">
        A minus before a word takes pictures of it away: “animal -dog”. A picture can also be dropped here, or pasted.
      </p>
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
        <summary class="small">Sentence around the words${wrong ? "" : `: ${sentence || "none"}`}</summary>
        <input
          type="text"
          autocomplete="off"
          spellcheck="false"
          placeholder="none: the words as typed"
          aria-label="Sentence around the words"
          aria-describedby="search-sentence"
          .value=${sentence}
          aria-invalid=${wrong ? "true" : nothing}
          @input=${(event: InputEvent) => (searching.sentence = (event.target as HTMLInputElement).value)}
        />
        <p id="search-sentence" class=${wrong ? "wrong" : "small"}>
          ${wrong ?? "The words take the place of {}. Some models find more by “a photo of a {}”."}
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
      <p class="grow">Pictures like <strong>${name}</strong></p>
      <button type="button" @click=${() => this.#ask({ words: "" })}>Back to words</button>
    </div>`;
  }

  #answer() {
    const { hits, more, behind, asks, failed } = searching;
    const items = hits.map(({ id, score }) => ({ path: id, caption: nameOf(id), badge: format("cosine", score) }));
    return html` <section aria-label="Hits" aria-busy=${behind ? "true" : "false"}>
      ${this.#state()}
      <div role="alert">${failed ? notice(failed, () => searching.again()) : nothing}</div>
      <ocelli-picture-grid
        .items=${items}
        .label=${"Pictures found, best first"}
        @pick=${(event: CustomEvent<string>) => void this.querySelector("ocelli-hit-dialog")?.show(event.detail)}
      ></ocelli-picture-grid>
      ${more ? html`<p class="more"><button type="button" @click=${() => searching.showMore()}>Show more</button></p>` : nothing}
      ${asks && hits.length > 0 ? html`<p class="small legend">Score: cosine. ${meanings.cosine} Only pictures of one search can be compared.</p>` : nothing}
    </section>`;
  }

  /** What is in the collection, what of it can be found, and what comes now. */
  #state() {
    const [size, waiting] = [collection.index?.size ?? 0, collection.waiting.length];
    const { progress } = indexer;
    return html`<p class="small" role="status">${this.#spoken(size)}</p>
      ${
        waiting > 0
          ? html`<p class="small">
              ${waiting === 1 ? "1 picture is" : `${waiting} pictures are`} still to be indexed
              ${progress && !progress.paused ? "and will be found as they come." : html`and cannot be found yet: <a href="#/tag">go on on the page Tag</a>.`}
            </p>`
          : nothing
      }`;
  }

  #spoken(size: number): string {
    const { query, hits, more, asks, behind, answered } = searching;
    if (!collection.index) return "The model is on its way.";
    const all = size === 1 ? "1 picture" : `${size.toLocaleString("en")} pictures`;
    if (!asks || (behind && !answered)) return `${all} can be searched.`;
    if ("words" in query && !parse(query.words).wanted)
      return "Write also what you are looking for, not only what you are not.";
    if (behind && hits.length === 0) return "Looking …";
    if (hits.length === 0)
      return "words" in query ? "Nothing is left of these words. Write others." : "There is no other picture here.";
    return more
      ? `The best ${hits.length} of ${all}.`
      : `All pictures${searching.folder ? " of this folder" : ""}, best first.`;
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
    if (file) return this.#ask({ picture: file, name: file.name || "pasted picture" });
    this.#wrong = "This is no picture file. What was found before stays.";
    this.requestUpdate();
  }

  #chosen(input: HTMLInputElement): void {
    const file = input.files?.[0];
    input.value = ""; // the same file again is a change again
    if (file) this.#take(file);
  }
}

customElements.define("ocelli-search", SearchPage);
