import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { notice } from "../../parts/notice.ts";
import { count, duration, number } from "../../parts/words.ts";
import type { FolderRecord } from "../../state/db.ts";
import { collection } from "../../state/library/collection.ts";
import { folders } from "../../state/library/folders.ts";
import { indexer } from "../../state/library/indexer.ts";
import { SINGLES } from "../../state/library/pick.ts";
import { visit } from "../../state/library/visit.ts";
import { models } from "../../state/models.ts";
import { adding } from "./adding.ts";
import "./add-photos.ts";
import "./folder-list.ts";

/** What is in the collection and how far its indexing has come, in one line, with the way to more. */
class Bookkeeping extends Part {
  #unfolded = false;

  constructor() {
    super();
    this.watch(adding, collection, folders, indexer, visit, models);
  }

  protected override render() {
    const empty = collection.pictures.size === 0;
    const { scanning } = folders;
    return html`<section class=${empty ? "" : "bookkeeping"} aria-label="Collection">
      ${empty ? nothing : html`<div class="row">${this.#line()}<span class="grow"></span>${this.#steering()}</div>`}
      <ocelli-add-photos></ocelli-add-photos>
      ${empty ? nothing : this.#bar()}
      ${scanning ? html`<p class="small">Scanning “${scanning.folder}”: ${count(scanning.found, "photo")} so far…</p>` : nothing}
      ${this.#unfolded ? html`<ocelli-folder-list id="folder-list" @look=${({ detail }: CustomEvent<FolderRecord>) => this.#look(detail)}></ocelli-folder-list>` : nothing}
      ${adding.failed ? this.#trouble(adding.failed) : nothing}
      ${collection.unkept === undefined ? nothing : html`<p class="notice unkept">${unkept(collection.unkept)}</p>`}
      <p class="hidden" role="status">${this.#spoken()}</p>
    </section>`;
  }

  #line() {
    const { pictures, folders, broken } = collection;
    const many = folders.length;
    return html`<p class="state">
      <span>${count(pictures.size - broken.length, "photo")}</span>
      ${
        many > 0
          ? html`·
              <button
                type="button"
                class="quiet"
                aria-expanded=${String(this.#unfolded)}
                aria-controls="folder-list"
                @click=${() => this.#fold()}
              >
                ${count(many, "folder")}
              </button>`
          : nothing
      }
      ${broken.length > 0 ? html`· <span>${number(broken.length)} unreadable</span>` : nothing} ·
      <span>${this.#progress()}</span>
      <span class="found" role="status">${adding.found ? `· ${adding.found}` : ""}</span>
    </p>`;
  }

  /** How far the indexing has come. */
  #progress(): string {
    const { waiting, pictures } = collection;
    if (waiting.length === 0) return "up to date";
    if (!indexer.isReady) return "waiting for the model";
    const of = `${number(pictures.size - waiting.length)} of ${number(pictures.size)} indexed`;
    const { progress, elsewhere } = indexer;
    if (elsewhere) return `${of}, continues when another tab is done`;
    if (progress?.paused) return `${of}, paused`;
    if (progress) {
      const { rate, total, done } = progress;
      if (rate === 0) return of;
      const pace = rate < 10 ? rate.toFixed(1) : number(Math.round(rate));
      return `${of}, ${pace} per second, about ${duration((total - done) / rate)} left`;
    }
    return of;
  }

  #bar() {
    const { waiting, pictures } = collection;
    return waiting.length === 0 || !indexer.isReady
      ? nothing
      : html`<progress
          aria-label="Photos indexed"
          max=${pictures.size}
          .value=${pictures.size - waiting.length}
        ></progress>`;
  }

  /** What is at work can be paused; what is not can go on: at once, or after the browser has asked, or with the folder picked again. */
  #steering() {
    const { waiting } = collection;
    const { progress, elsewhere, isReady } = indexer;
    if (waiting.length === 0 || elsewhere || !isReady) return nothing;
    if (progress)
      return html`${progress.paused ? html`<button type="button" @click=${() => indexer.resume()}>Resume</button>` : html`<button type="button" @click=${() => indexer.pause()}>Pause</button>`}
        <button type="button" @click=${() => indexer.cancel()}>Cancel</button>`;
    if (indexer.ready.length > 0)
      return html`<button type="button" class="primary" @click=${() => indexer.start()}>Continue</button>`;
    const names = new Set(waiting.map(({ folder }) => folder));
    return collection.folders
      .filter(({ name }) => names.has(name))
      .map(
        (folder) =>
          html`<button type="button" class="primary" @click=${() => this.#look(folder)}>
            ${folder.handle ? `Continue with “${folder.name}”` : `Choose “${folder.name}” again to continue`}
          </button>`,
      );
  }

  #trouble(error: unknown) {
    return html`<div class="trouble" role="alert">
      ${notice(error, adding.again)}
      <button type="button" class="quiet" @click=${() => adding.dismiss()}>Dismiss</button>
    </div>`;
  }

  /** Progress for a screen reader, in quarters, because every batch would be too often. */
  #spoken(): string {
    const { pictures, waiting } = collection;
    const { progress } = indexer;
    if (pictures.size === 0) return "";
    if (waiting.length === 0) return "All photos are indexed";
    if (!progress) return "";
    if (progress.paused) return "Paused";
    return `${Math.floor((4 * (pictures.size - waiting.length)) / pictures.size) * 25} percent of the photos are indexed`;
  }

  #fold(): void {
    this.#unfolded = !this.#unfolded;
    this.requestUpdate();
  }

  #look(folder: FolderRecord): void {
    if (folder.handle) adding.ask(() => folders.refresh(folder));
    else this.querySelector("ocelli-add-photos")?.ask(folder.name === SINGLES ? "files" : "folder");
  }
}

customElements.define("ocelli-bookkeeping", Bookkeeping);

function unkept(error: unknown): string {
  const full = error instanceof DOMException && error.name === "QuotaExceededError";
  const why = full
    ? "Your browser's storage is full."
    : `Your browser won't let this app save anything (${String(error)}). A private window may be why.`;
  return `${why} Everything works, but new results last only while this page is open.${full ? " Free some space, then reload the page." : ""}`;
}
