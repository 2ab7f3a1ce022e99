import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { menu } from "../../parts/menu.ts";
import { number } from "../../parts/words.ts";
import { collection } from "../../state/library/collection.ts";
import { searching } from "./searching.ts";
import { orders, filtering, type Filter, type Order, type Row } from "./filtering.ts";
import { tagger } from "./tagger.ts";

/** Chips for the tags of some photos, each with its count: a click shows these photos alone. */
export function tagChips(rows: readonly Row[]) {
  const counts = new Map<string, number>();
  for (const { tags } of rows) for (const { label } of tags) counts.set(label, (counts.get(label) ?? 0) + 1);
  const untagged = rows.filter(({ path, tags }) => tags.length === 0 && tagger.tags(path)).length;
  const { tag } = filtering.filter;
  // The chip of the filter stays, also where the last photo has lost that tag.
  if (typeof tag === "object" && !counts.has(tag.label)) counts.set(tag.label, 0);
  const chip = (words: string, many: number, is: Filter["tag"], on: boolean) =>
    html`<button
      type="button"
      aria-pressed=${on ? "true" : "false"}
      @click=${() => filtering.only({ tag: on ? undefined : is })}
    >
      ${words} <span class="small">${number(many)}</span>
    </button>`;
  const byCount = [...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b));
  return html`<div class="chips" role="group" aria-label="Show photos with">
    ${chip("All", rows.length, undefined, tag === undefined)}
    ${byCount.map(([label, many]) => chip(label, many, { label }, typeof tag === "object" && tag.label === label))}
    ${untagged > 0 || tag === "untagged" ? chip("Untagged", untagged, "untagged", tag === "untagged") : nothing}
  </div>`;
}

/** Folder, dates and order of the photos that are shown. */
class Filters extends Part {
  constructor() {
    super();
    this.watch(filtering, searching, collection);
  }

  protected override render() {
    return html`${collection.folders.length > 1 ? this.#folder() : nothing} ${this.#dates()}
    ${searching.asks ? nothing : this.#order()}`;
  }

  #folder() {
    const { folder } = filtering.filter;
    return html`<select
      aria-label="Folder"
      @change=${(event: Event) => filtering.only({ folder: (event.target as HTMLSelectElement).value })}
    >
      <option value="">All folders</option>
      ${collection.folders.map(({ name }) => html`<option value=${name} ?selected=${name === folder}>${name}</option>`)}
    </select>`;
  }

  #dates() {
    const { from, to } = filtering.filter;
    const day = (words: string, key: "from" | "to", value: string) =>
      html`<label
        >${words}
        <input
          type="date"
          .value=${value}
          @change=${(event: Event) => filtering.only({ [key]: (event.target as HTMLInputElement).value })}
      /></label>`;
    const words = from && to ? `${from} to ${to}` : from ? `Since ${from}` : to ? `Until ${to}` : "Any date";
    return menu(
      words,
      html`${day("From", "from", from)} ${day("To", "to", to)}
        <button type="button" ?disabled=${!from && !to} @click=${() => filtering.only({ from: "", to: "" })}>
          Any date
        </button>`,
      "dates",
    );
  }

  #order() {
    return html`<select
      aria-label="Order"
      @change=${(event: Event) => (filtering.order = (event.target as HTMLSelectElement).value as Order)}
    >
      ${Object.keys(orders).map((name) => html`<option ?selected=${name === filtering.order}>${name}</option>`)}
    </select>`;
  }
}

customElements.define("ocelli-filters", Filters);
