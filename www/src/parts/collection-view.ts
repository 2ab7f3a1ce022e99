import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { Arrivals } from "./arrivals.ts";
import { notice } from "./notice.ts";
import type { FolderRecord } from "../state/db.ts";
import { collection } from "../state/library/collection.ts";
import { folders, type Difference } from "../state/library/folders.ts";
import { indexer } from "../state/library/indexer.ts";
import { pickFolder, SINGLES, takeDropped, takeInput, takeSamples } from "../state/library/pick.ts";
import { samples } from "../state/samples.ts";
import { visit } from "../state/library/visit.ts";
import { models } from "../state/models.ts";
import { count, duration, number } from "./words.ts";

/** Where pictures come from, how far their indexing has come, and the folders that are known. */
class Collection extends Part {
  /** A sentence about what the last look into a folder has found. */
  #found = "";
  #failed: unknown;
  /** The folder whose removal is asked about. */
  #removing: string | undefined;
  readonly #arrivals = new Arrivals(this, (data) => this.#ask(() => takeDropped(data)));

  constructor() {
    super();
    this.watch(collection, folders, indexer, visit, models);
  }

  protected override render() {
    const { scanning } = folders;
    const failed = this.#failed ?? collection.failed;
    const empty = collection.pictures.size === 0;
    return html` <section
      class=${`sheet collection${empty ? " empty" : ""}${this.#arrivals.over ? " dropping" : ""}`}
      aria-label="Images"
    >
      ${empty ? this.#welcome() : nothing}
      <div class="row">
        <button
          type="button"
          class=${empty ? "primary" : ""}
          @click=${() => this.#ask(() => pickFolder(this.#input("folder")))}
        >
          Choose a folder
        </button>
        <button type="button" @click=${() => this.#input("files").click()}>Choose photos</button>
        ${
          empty
            ? html`<button type="button" class="quiet" @click=${() => this.#ask(takeSamples)}>
                Try ${samples.length} sample drawings
              </button>`
            : html`<span class="small grow">Or drop them here.</span>`
        }
        <input
          type="file"
          data-kind="folder"
          hidden
          webkitdirectory
          multiple
          aria-label="Folder"
          @change=${this.#took}
        />
        <input
          type="file"
          data-kind="files"
          hidden
          multiple
          accept="image/*"
          aria-label="Images"
          @change=${this.#took}
        />
      </div>
      ${scanning ? html`<p class="state">Scanning “${scanning.folder}”: ${count(scanning.found, "image")} so far…</p>` : this.#state()}
      <p class="small found" role="status">${this.#found}</p>
      ${failed ? this.#trouble(failed) : nothing}
      ${collection.unkept === undefined ? nothing : html`<p class="notice unkept">${unkept(collection.unkept)}</p>`}
      ${collection.folders.length > 0 ? this.#folders(collection.folders) : nothing}
      <p class="hidden" role="status">${this.#spoken()}</p>
    </section>`;
  }

  /** What there is to gain, while there is nothing to show. */
  #welcome() {
    return html`<h2>Add your photos</h2>
      <ul>
        <li>Find photos by what they show, in your own words.</li>
        <li>Tag thousands at once, and save the tags.</li>
        <li>Spot near-duplicates.</li>
      </ul>
      <p class="small">
        Choose them, or drop them anywhere on this page. They are read on your device and never uploaded.
      </p>`;
  }

  #state() {
    const { waiting, pictures, broken } = collection;
    const { progress, elsewhere } = indexer;
    const done = pictures.size - waiting.length;
    if (pictures.size === 0) return nothing;
    if (waiting.length === 0) {
      const whole = pictures.size - broken.length;
      return html`<p class="state">
        ${count(whole, "image")} indexed.${broken.length > 0 ? ` ${count(broken.length, "file")} can't be read.` : ""}
      </p>`;
    }
    const bar = html`<progress aria-label="Images indexed" max=${pictures.size} .value=${done}></progress>`;
    const of = `${number(done)} of ${number(pictures.size)}`;
    if (elsewhere)
      return html`<p class="state">${of} indexed. Another tab is indexing; this one continues when that one is done.</p>
        ${bar}`;
    if (progress) {
      const { paused, rate } = progress;
      const pace =
        rate > 0
          ? `, ${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} per second, about ${duration((progress.total - progress.done) / rate)} left`
          : "";
      return html` <div class="row">
          <p class="state grow">${paused ? `Paused. ${of} indexed.` : `${of} images indexed${pace}`}</p>
          ${paused ? html`<button type="button" @click=${() => indexer.resume()}>Resume</button>` : html`<button type="button" @click=${() => indexer.pause()}>Pause</button>`}
          <button type="button" @click=${() => indexer.cancel()}>Cancel</button>
        </div>
        ${bar}`;
    }
    if (!collection.index)
      return html`<p class="state">Waiting for the model: ${of} indexed.</p>
        ${bar}`;
    return html`${this.#goOn(of)}${bar}`;
  }

  /** What is not at work can go on: at once, or after the browser has asked, or with the folder picked again. */
  #goOn(of: string) {
    if (indexer.ready.length > 0) {
      return html`<div class="row">
        <p class="state grow">${of} indexed.</p>
        <button type="button" class="primary" @click=${() => indexer.start()}>Continue</button>
      </div>`;
    }
    const names = new Set(collection.waiting.map(({ folder }) => folder));
    return collection.folders
      .filter(({ name }) => names.has(name))
      .map(
        (folder) =>
          html`<div class="row">
            <p class="state grow">
              ${of} indexed.${folder.handle ? "" : ` Choose “${folder.name}” again to continue.`}
            </p>
            <button type="button" class="primary" @click=${() => this.#look(folder)}>
              ${folder.handle ? `Continue with “${folder.name}”` : `Choose “${folder.name}”`}
            </button>
          </div>`,
      );
  }

  #folders(records: readonly FolderRecord[]) {
    const counts = new Map<string, number>();
    for (const { folder } of collection.pictures.values()) counts.set(folder, (counts.get(folder) ?? 0) + 1);
    return html`<details class="folders">
      <summary>${count(records.length, "folder")}</summary>
      <ul>
        ${records.map(
          (folder) =>
            html`<li class="row">
              <span class="grow"
                ><b>${folder.name}</b> <span class="small">${count(counts.get(folder.name) ?? 0, "image")}</span></span
              >
              ${
                this.#removing === folder.name
                  ? html`<button type="button" class="primary" @click=${() => this.#remove(folder.name)}>
                        Remove ${count(counts.get(folder.name) ?? 0, "image")} from Ocelli
                      </button>
                      <button type="button" @click=${() => this.#about(undefined)}>Keep</button>`
                  : html`<button
                        type="button"
                        aria-label=${`Look for changes in ${folder.name}`}
                        @click=${() => this.#look(folder)}
                      >
                        ${folder.handle ? "Look for changes" : "Choose again"}
                      </button>
                      <button
                        type="button"
                        class="quiet"
                        aria-label=${`Remove ${folder.name}`}
                        @click=${() => this.#about(folder.name)}
                      >
                        Remove
                      </button>`
              }
            </li>`,
        )}
      </ul>
      <p class="small">Removing a folder only removes it from Ocelli. Your files stay where they are.</p>
    </details>`;
  }

  #trouble(error: unknown) {
    return html`<div class="trouble" role="alert">
      ${notice(error, collection.failed ? () => this.#again() : undefined)}
      <button type="button" class="quiet" @click=${() => this.#dismiss()}>Dismiss</button>
    </div>`;
  }

  /** Progress for a screen reader, in quarters, because every batch would be too often. */
  #spoken(): string {
    const { pictures, waiting } = collection;
    const { progress } = indexer;
    if (pictures.size === 0) return "";
    if (waiting.length === 0) return "All images are indexed";
    if (!progress) return "";
    if (progress.paused) return "Paused";
    return `${Math.floor((4 * (pictures.size - waiting.length)) / pictures.size) * 25} percent of the images are indexed`;
  }

  #input(kind: "folder" | "files"): HTMLInputElement {
    return this.querySelector(`input[data-kind="${kind}"]`) as HTMLInputElement;
  }

  #took(event: Event): void {
    this.#ask(() => takeInput(event.target as HTMLInputElement));
  }

  #look(folder: FolderRecord): void {
    if (folder.handle) this.#ask(() => folders.refresh(folder));
    else this.#input(folder.name === SINGLES ? "files" : "folder").click();
  }

  #remove(name: string): void {
    this.#about(undefined);
    this.#ask(() => folders.remove(name).then(() => undefined));
  }

  #about(name: string | undefined): void {
    this.#removing = name;
    this.requestUpdate();
  }

  #again(): void {
    this.#dismiss();
    void folders.open().then(() => indexer.start());
  }

  #dismiss(): void {
    this.#failed = undefined;
    collection.dismiss();
    this.requestUpdate();
  }

  /** Runs the work of a click and shows its result or its error. */
  #ask(work: () => Promise<Difference | undefined>): void {
    this.#failed = undefined;
    this.#found = "";
    work()
      .then(
        (difference) => {
          this.#found = difference ? words(difference) : "";
          // A collection is work: the browser should not clear it by itself.
          if (difference?.added) void navigator.storage?.persist().catch(() => false);
        },
        (error: unknown) => (this.#failed = error),
      )
      .finally(() => this.requestUpdate());
    this.requestUpdate();
  }
}

customElements.define("ocelli-collection", Collection);

function words({ added, changed, removed }: Difference): string {
  const parts = [
    added > 0 && `${number(added)} new`,
    changed > 0 && `${number(changed)} changed`,
    removed > 0 && `${number(removed)} gone`,
  ].filter(Boolean);
  return parts.length > 0 ? `${parts.join(", ")}.` : "Nothing has changed.";
}

function unkept(error: unknown): string {
  const full = error instanceof DOMException && error.name === "QuotaExceededError";
  const why = full
    ? "Your browser's storage is full."
    : `Your browser won't let this app save anything (${String(error)}). A private window may be why.`;
  return `${why} Everything works, but new results last only while this page is open.${full ? " Free some space, then reload the page." : ""}`;
}
