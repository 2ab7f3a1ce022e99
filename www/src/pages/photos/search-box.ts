import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { Arrivals, pictureIn } from "../../parts/arrivals.ts";
import "../../parts/thumbnail.ts";
import { nameOf } from "../../state/files.ts";
import { models } from "../../state/models.ts";
import type { Query } from "./query.ts";
import { searching } from "./searching.ts";

/** Where one says what to look for: words, or a picture that is picked, pasted, or dropped onto it. */
class SearchBox extends Part {
  readonly #arrivals = new Arrivals(
    this,
    () => {}, // what is dropped beside it is added to the collection
    (picture) => this.#take(picture),
  );
  #wrong = "";
  /** The picture of the query, and its object URL. */
  #picture: { blob: Blob; url: string } | undefined;

  constructor() {
    super();
    this.watch(searching, models);
  }

  protected override render() {
    const { query, asks } = searching;
    return html`<form
      class=${this.#arrivals.over ? "search over" : "search"}
      role="search"
      @submit=${(event: Event) => event.preventDefault()}
      @drop=${(event: DragEvent) => this.#drop(event)}
    >
      <div class="field">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <circle cx="11" cy="11" r="6.5" />
          <path d="M16 16l4.5 4.5" />
        </svg>
        <input
          id="search-words"
          type="search"
          autocomplete="off"
          spellcheck="false"
          aria-label="Search your photos"
          placeholder=${this.#arrivals.over ? "Drop an image here to find photos like it" : "Search: animal -dog"}
          .value=${"words" in query ? query.words : ""}
          @input=${(event: InputEvent) => this.#ask({ words: (event.target as HTMLInputElement).value }, true)}
        />
        <input
          id="search-picture"
          type="file"
          accept="image/*"
          class="hidden"
          aria-label="Search by image"
          @change=${(event: Event) => this.#chosen(event.target as HTMLInputElement)}
        />
        <label for="search-picture" class="button quiet" title="Search by image: pick one, paste one, or drop one here">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M4 5h16v14H4zM4 15l5-5 4 4 2.5-2.500L20 16" />
            <circle cx="15.5" cy="9" r="1.3" />
          </svg>
          <span>By image</span>
        </label>
      </div>
      ${this.#wrong ? html`<p class="wrong" role="alert">${this.#wrong}</p>` : nothing}
      ${"words" in query ? nothing : this.#likeness(query)} ${asks ? nothing : this.#suggestions()}
    </form>`;
  }

  /** Shows the picture of the query in place of words. */
  #likeness(query: Exclude<Query, { words: string }>) {
    const inside = "like" in query;
    const name = inside ? nameOf(query.like) : query.name;
    return html`<div class="row likeness">
      ${inside ? html`<ocelli-thumbnail .path=${query.like} .alt=${name}></ocelli-thumbnail>` : html`<img src=${this.#urlOf(query.picture)} alt=${name} />`}
      <p class="grow">Photos like <strong>${name}</strong></p>
      <button type="button" @click=${() => this.#ask({ words: "" })}>Back to words</button>
    </div>`;
  }

  /** Words to begin with. */
  #suggestions() {
    const words = models.isBuiltIn
      ? ["animal", "food", "guitar", "animal -dog"]
      : ["dog", "beach", "food", "people outdoors", "sunset"];
    return html`<p class="small suggestions" role="group" aria-label="Suggestions">
      Try
      ${words.map((word) => html`<button type="button" class="quiet" @click=${() => this.#ask({ words: word })}>${word}</button>`)}
    </p>`;
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

  #drop(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes("Files")) return; // text may be dropped into the field
    event.preventDefault();
    // Else it would be added to the collection.
    event.stopPropagation();
    this.#take(pictureIn(event.dataTransfer));
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

customElements.define("ocelli-search-box", SearchBox);
