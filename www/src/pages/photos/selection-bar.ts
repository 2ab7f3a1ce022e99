import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { download } from "../../parts/dom.ts";
import { menu } from "../../parts/menu.ts";
import { bytes, count } from "../../parts/words.ts";
import { collection } from "../../state/library/collection.ts";
import { folderOf } from "../../state/files.ts";
import { Selection } from "../../state/selection.ts";
import { bytesOf, exporting, listOf } from "./export.ts";

/** Photos that the user has selected. What leaves the collection leaves the selection. */
export const selection = new Selection();
collection.addEventListener("change", () => {
  if (selection.paths.some((path) => !collection.pictures.has(path)))
    selection.keep((path) => collection.pictures.has(path));
});

/** How many photos are selected, and what can be done with them. It lies over the page's end, so that nothing moves when it comes. */
class SelectionBar extends Part {
  static override properties = { shown: { attribute: false } };
  /** Paths of the photos that are shown, for "Select all". */
  declare shown: readonly string[];

  constructor() {
    super();
    this.shown = [];
    this.watch(selection, exporting);
  }

  protected override render() {
    const { paths, size } = selection;
    const { at, said } = exporting;
    if (size === 0 && at === undefined && !said) return nothing;
    return html`<section class="selection row" aria-label="Selection">
      <p role="status" class="grow">
        ${at ?? (said ? said : html`<b>${count(size, "photo")}</b> selected <span class="small">${bytes(bytesOf(paths))}</span>`)}
      </p>
      ${at === undefined ? this.#choices(paths) : html`<button type="button" @click=${() => exporting.stop()}>Cancel</button>`}
    </section>`;
  }

  #choices(paths: readonly string[]) {
    if (paths.length === 0) return html`<button type="button" @click=${() => this.#clear()}>Close</button>`;
    const rest = this.shown.filter((path) => !selection.has(path)).length;
    return html`${
        rest > 0
          ? html`<button type="button" @click=${() => selection.add(this.shown)}>
              Select all ${count(this.shown.length, "photo")} shown
            </button>`
          : nothing
      }
      ${menu("Export", this.#ways(paths), "up end")}
      <button type="button" class="quiet" @click=${() => this.#clear()}>Clear</button>`;
  }

  #ways(paths: readonly string[]) {
    const way = (words: string, run: () => void) => html`<button type="button" @click=${run}>${words}</button>`;
    const names = new Set(paths.map(folderOf));
    const reachable = collection.folders.some(({ name, handle }) => handle && names.has(name));
    return html`${way(`ZIP of the originals (${bytes(bytesOf(paths))})`, () => void exporting.zip(paths, false))}
    ${way("ZIP with tags as XMP sidecars", () => void exporting.zip(paths, true))}
    ${way("XMP sidecars only (ZIP)", () => void exporting.zipSidecars(paths))}
    ${reachable ? way("Write XMP sidecars next to the files…", () => void exporting.writeSidecars(paths)) : nothing}
    ${way("List of paths", () => download(listOf(paths), "photos.txt"))}
    ${way("Copy the paths", () => void navigator.clipboard.writeText(paths.join("\n")))}`;
  }

  #clear(): void {
    exporting.said = "";
    selection.clear();
  }
}

customElements.define("ocelli-selection-bar", SelectionBar);
