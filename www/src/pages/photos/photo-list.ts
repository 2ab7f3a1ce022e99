import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { notice } from "../../parts/notice.ts";
import "../../parts/picture-grid.ts";
import type { PictureItem } from "../../parts/picture-grid.ts";
import { count } from "../../parts/words.ts";
import { nameOf } from "../../state/files.ts";
import { collection } from "../../state/library/collection.ts";
import { tagChips } from "./filters.ts";
import "./filters.ts";
import { parse } from "./query.ts";
import "./rules.ts";
import "./search-box.ts";
import { searching } from "./searching.ts";
import { selection } from "./selection-bar.ts";
import "./selection-bar.ts";
import { monthOf, filtering, type Row } from "./filtering.ts";
import { tagger } from "./tagger.ts";

/** The photos that are searched for, or all that pass the filter. An event `pick` tells `{ path, paths }`, its neighbours in order. */
class PhotoList extends Part {
  static override properties = { more: { attribute: false } };
  /** What the page puts at the end of the row of filters. */
  declare more: unknown;
  /** Whether labels and rules are unfolded. */
  #rules = false;

  constructor() {
    super();
    this.watch(collection, searching, filtering, tagger, tagger.labels);
  }

  protected override render() {
    const candidates = filtering.candidates;
    const rows = searching.asks ? [] : filtering.rows(candidates);
    const paths = searching.asks ? searching.hits.map(({ id }) => id) : rows.map(({ path }) => path);
    return html`<ocelli-search-box></ocelli-search-box>
      ${tagChips(candidates)}
      <div class="row narrow">
        <p class="small grow" role="status">${searching.asks ? spoken() : said(rows)}</p>
        <button type="button" aria-expanded=${String(this.#rules)} aria-controls="rules" @click=${() => this.#fold()}>
          Labels &amp; rules
        </button>
        <ocelli-filters class="row"></ocelli-filters>
        ${this.more}
      </div>
      ${this.#rules ? html`<ocelli-rules id="rules"></ocelli-rules>` : nothing}
      <section class="results" aria-label="Results" aria-busy=${searching.behind ? "true" : "false"}>
        ${searching.asks ? this.#hits() : this.#grid(rows.map(itemOf), "Photos", paths)}
      </section>
      <ocelli-selection-bar .shown=${paths}></ocelli-selection-bar>`;
  }

  #fold(): void {
    this.#rules = !this.#rules;
    this.requestUpdate();
  }

  #hits() {
    const { hits, less, more, failed } = searching;
    const items = hits.map(({ id, score }) => ({ path: id, score, caption: captionOf(id) }));
    const [near, far] = [items.filter(({ path }) => !less.has(path)), items.filter(({ path }) => less.has(path))];
    const order = [...near, ...far].map(({ path }) => path);
    const button = more
      ? html`<p class="more"><button type="button" @click=${() => searching.showMore()}>Show more</button></p>`
      : nothing;
    return html`<div role="alert">${failed ? notice(failed, () => searching.again()) : nothing}</div>
      ${this.#grid(near, "Photos found, best first", order)}
      ${
        far.length > 0
          ? html`<details class="less" ?open=${near.length === 0}>
              <summary>Less likely matches <span class="small">${far.length}${more ? "+" : ""}</span></summary>
              ${this.#grid(far, "Less likely matches", order)} ${button}
            </details>`
          : button
      }`;
  }

  /** A grid; `order` are the photos between which the viewer leads from one to the next. */
  #grid(items: PictureItem[], label: string, order: readonly string[]) {
    const picked = ({ detail: path }: CustomEvent<string>) =>
      this.dispatchEvent(new CustomEvent("pick", { detail: { path, paths: order } }));
    return html`<ocelli-picture-grid
      .items=${items}
      .label=${label}
      .selection=${selection}
      @pick=${picked}
    ></ocelli-picture-grid>`;
  }
}

customElements.define("ocelli-photo-list", PhotoList);

function itemOf({ path, date }: Row): PictureItem {
  return { path, caption: captionOf(path), heading: filtering.byDate ? monthOf(date) : undefined };
}

/** Its tags or, without any, its name. */
function captionOf(path: string) {
  const tags = tagger.tags(path) ?? [];
  if (!collection.index?.has(path)) return html`<span class="small">waiting</span>`;
  return tags.length === 0
    ? html`<span class="name">${nameOf(path)}</span>`
    : html`<span class="tags"
        >${tags.map(({ label, score }, i) => html`${i > 0 ? ", " : ""}<span class="tag" data-score=${score}>${label}</span>`)}</span
      >`;
}

function said(rows: readonly Row[]): string {
  return `${count(rows.length, "photo")}${tagger.behind ? ", updating tags" : ""}`;
}

/** What of the collection is found. */
function spoken(): string {
  const { query, hits, less, more, behind, answered } = searching;
  const size = collection.index?.size ?? 0;
  if (!collection.index) return "The model is loading.";
  if ("words" in query && !parse(query.words).wanted) return "Add something to look for, too.";
  if (behind && (hits.length === 0 || !answered)) return "Searching…";
  if (hits.length === 0) {
    if (size === 0) return "No photos are indexed yet.";
    return "words" in query ? "No matches. Try other words." : "There are no other photos here.";
  }
  if (less.size === hits.length) return "No close matches. These come nearest.";
  const near = count(hits.length - less.size, "match", "matches");
  return less.size === 0 && more ? `Best ${hits.length} of ${count(size, "photo")}.` : `${near}, best first.`;
}
