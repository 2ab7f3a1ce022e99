import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { download } from "../parts/dom.ts";
import "../parts/collection-view.ts";
import "../parts/label-editor.ts";
import { knowledge } from "../parts/model-hint.ts";
import "../parts/picture-grid.ts";
import type { PictureItem } from "../parts/picture-grid.ts";
import { format } from "../parts/scale.ts";
import { count, number } from "../parts/words.ts";
import { nameOf } from "../state/files.ts";
import { collection } from "../state/library/collection.ts";
import { folders } from "../state/library/folders.ts";
import { indexer } from "../state/library/indexer.ts";
import { models } from "../state/models.ts";
import { remembered } from "../state/store.ts";
import "./tag/duplicates.ts";
import { csv, json, type Tagged } from "./tag/results.ts";
import { tagger } from "./tag/tagger.ts";
import "./tag/viewer.ts";

/** Orders of the grid. Pictures that are equal are ordered by name. */
const orders: Record<string, ((a: Row, b: Row) => number) | undefined> = {
  "Name": undefined,
  "Highest score first": (a, b) => b.best - a.best,
  "Lowest score first": (a, b) => a.best - b.best,
  "Newest first": (a, b) => b.modified - a.modified,
};

/** Whether the labels are in sight; on a phone they would hide the pictures. */
const unfolded = remembered("tag.unfolded", matchMedia("(min-width: 50rem)").matches);

interface Row extends Tagged {
  modified: number;
  /** Its best tag's score, or that of the tag that is looked at; -1 without. */
  best: number;
}

type View = "pictures" | "duplicates" | "broken";

/** Which pictures are shown: those with a tag, or those without any. */
type Filter = { label: string } | "untagged" | undefined;

class TagPage extends Part {
  #view: View = "pictures";
  #filter: Filter;
  #order = "Name";
  #names: readonly string[] = [];

  constructor() {
    super();
    this.watch(collection, models, tagger, tagger.labels);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void folders.open();
  }

  protected override render() {
    return html` <h1>Tag</h1>
      <p>Tag whole folders at once. Results stay on this device, ready for next time.</p>
      ${knowledge()}
      ${models.isBuiltIn && collection.hasPhotos ? html`<ocelli-model-hint .says=${"These look like photos."}></ocelli-model-hint>` : nothing}
      <ocelli-collection></ocelli-collection>
      ${collection.pictures.size > 0 ? html`${this.#rule()}${this.#results()}` : nothing}
      <ocelli-viewer></ocelli-viewer>`;
  }

  #rule() {
    const { several, threshold } = tagger.rule;
    const choice = (is: boolean, words: string) =>
      html`<label>
        <input
          type="radio"
          name="several"
          .checked=${several === is}
          @change=${() => tagger.write({ several: is })}
        /><span>${words}</span></label
      >`;
    return html`<details
      class="sheet rule"
      ?open=${unfolded.get()}
      @toggle=${(event: Event) => unfolded.set((event.target as HTMLDetailsElement).open)}
    >
      <summary>
        <h2>Labels</h2>
        <span class="small">${count(tagger.labels.names.length, "label")}</span>
      </summary>
      <ocelli-label-editor .list=${tagger.labels}></ocelli-label-editor>
      <div class="how">
        <fieldset>
          <legend>Tags per image</legend>
          <div class="choices">${choice(true, "All matches")}${choice(false, "Best match")}</div>
        </fieldset>
        <div class="slider">
          <label for="threshold">Minimum score: <output>${format("sigmoid", threshold)}</output></label>
          <input
            id="threshold"
            type="range"
            ?disabled=${!models.info}
            min="0"
            max="1"
            step="0.01"
            .value=${String(threshold)}
            aria-describedby="threshold-help"
            @input=${(event: InputEvent) => tagger.write({ threshold: Number((event.target as HTMLInputElement).value) })}
          />
          <p id="threshold-help" class="small">${this.#meaning(several)}</p>
        </div>
      </div>
    </details>`;
  }

  #meaning(several: boolean): string {
    const sigmoid = models.info?.defaultScore === "sigmoid";
    if (several)
      return sigmoid
        ? "Each label is judged on its own. This model scores low: 10% can already be a match."
        : "Each label is judged on its own: at 50% it fits as well as anything.";
    return sigmoid
      ? "The best label's own score. This model scores low: 10% can already be a match."
      : "The labels compete for 100%. A low best score means that none fits well.";
  }

  #results() {
    const { broken } = collection;
    const views: [View, string][] = [
      ["pictures", "Images"],
      ["duplicates", "Near-duplicates"],
      ...(broken.length > 0 ? [["broken", `Unreadable (${number(broken.length)})`] as [View, string]] : []),
    ];
    const view = views.some(([name]) => name === this.#view) ? this.#view : "pictures";
    return html`<section class="results" aria-label="Results">
      <div class="row">
        <div class="choices" role="radiogroup" aria-label="View">
          ${views.map(([name, words]) => html`<label><input type="radio" name="view" .checked=${view === name} @change=${() => this.#to(name)} /><span>${words}</span></label>`)}
        </div>
        <span class="grow"></span>
        <button type="button" ?disabled=${collection.seen.length === 0} @click=${() => this.#save("csv")}>
          Save as CSV
        </button>
        <button type="button" ?disabled=${collection.seen.length === 0} @click=${() => this.#save("json")}>
          Save as JSON
        </button>
      </div>
      ${view === "pictures" ? this.#pictures() : nothing}
      ${view === "duplicates" ? html`<ocelli-duplicates @pick=${({ detail }: CustomEvent<{ path: string; paths: string[] }>) => this.#open(detail.path, detail.paths)}></ocelli-duplicates>` : nothing}
      ${view === "broken" ? this.#broken() : nothing}
    </section>`;
  }

  #pictures() {
    const all = this.#rows();
    const counts = new Map<string, number>();
    for (const { tags } of all) for (const { label } of tags) counts.set(label, (counts.get(label) ?? 0) + 1);
    const untagged = all.filter(({ path, tags }) => tags.length === 0 && tagger.tags(path)).length;
    const filter = this.#standing(counts, untagged);
    const rows = this.#shown(all, filter);
    const chip = (words: string, many: number, is: Filter, on: boolean) =>
      html`<button type="button" aria-pressed=${on ? "true" : "false"} @click=${() => this.#only(is)}>
        ${words} <span class="small">${number(many)}</span>
      </button>`;
    const byCount = [...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b));
    return html` <div class="chips" role="group" aria-label="Show images with">
        ${chip("All", all.length, undefined, filter === undefined)}
        ${byCount.map(([label, many]) => chip(label, many, { label }, typeof filter === "object" && filter.label === label))}
        ${untagged > 0 ? chip("Untagged", untagged, "untagged", filter === "untagged") : nothing}
      </div>
      <div class="row order">
        <p class="small grow" role="status">${count(rows.length, "image")}${tagger.behind ? ", updating tags" : ""}</p>
        <label for="order">Order</label>
        <select id="order" @change=${(event: Event) => this.#sort((event.target as HTMLSelectElement).value)}>
          ${Object.keys(orders).map((name) => html`<option ?selected=${name === this.#order}>${name}</option>`)}
        </select>
      </div>
      <ocelli-picture-grid
        .items=${rows.map((row) => this.#item(row))}
        @pick=${({ detail }: CustomEvent<string>) =>
          this.#open(
            detail,
            rows.map(({ path }) => path),
          )}
      ></ocelli-picture-grid>`;
  }

  #item({ path, tags }: Row): PictureItem {
    const known = tagger.tags(path);
    const words = !collection.index?.has(path) ? "waiting" : known && tags.length === 0 ? "no tag" : undefined;
    const scale = tagger.rule.several ? "sigmoid" : (models.info?.defaultScore ?? "softmax");
    return {
      path,
      caption: html`<span class="name">${nameOf(path)}</span
        >${words ? html`<span class="small">${words}</span>` : tags.map(({ label, score }) => html`<span class="tag"><span>${label}</span> <b>${format(scale, score)}</b></span>`)}`,
    };
  }

  #broken() {
    return html` <p class="small">These files are skipped. All others are fine.</p>
      <ul class="broken">
        ${collection.broken.slice(0, 500).map(({ path, broken }) => html`<li><b>${path}</b> <span class="wrong">${broken}</span></li>`)}
      </ul>
      <button type="button" @click=${() => void indexer.retry()}>Try again</button>`;
  }

  /** The rows of all readable pictures, by name. */
  #rows(): Row[] {
    this.#names = byName(collection.pictures, this.#names);
    return this.#names.flatMap((path) => {
      const { modified = 0, broken } = collection.pictures.get(path) ?? {};
      const tags = tagger.tags(path) ?? [];
      return broken === undefined ? [{ path, tags, modified, best: tags[0]?.score ?? -1 }] : [];
    });
  }

  /** The filter, if a picture passes it. */
  #standing(counts: ReadonlyMap<string, number>, untagged: number): Filter {
    if (this.#filter === "untagged") return untagged > 0 ? "untagged" : undefined;
    return this.#filter && counts.has(this.#filter.label) ? this.#filter : undefined;
  }

  #shown(all: Row[], filter: Filter): Row[] {
    const rows = all.flatMap((row): Row[] => {
      if (filter === undefined) return [row];
      if (filter === "untagged") return row.tags.length === 0 && tagger.tags(row.path) ? [row] : [];
      const tag = row.tags.find(({ label }) => label === filter.label);
      return tag ? [{ ...row, best: tag.score }] : [];
    });
    const order = orders[this.#order];
    return order ? rows.sort(order) : rows;
  }

  #save(kind: "csv" | "json"): void {
    const pictures = this.#shown(this.#rows(), undefined).filter(({ path }) => collection.index?.has(path));
    if (kind === "csv") return download(csv(pictures), "ocelli-tags.csv");
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
    download(json(pictures, making), "ocelli-tags.json");
  }

  #open(path: string, paths: readonly string[]): void {
    void this.querySelector("ocelli-viewer")?.show(path, paths);
  }

  #to(view: View): void {
    this.#view = view;
    this.requestUpdate();
  }

  #only(filter: Filter): void {
    this.#filter = filter;
    this.requestUpdate();
  }

  #sort(order: string): void {
    this.#order = order;
    this.requestUpdate();
  }
}

customElements.define("ocelli-tag", TagPage);

const collator = new Intl.Collator("en", { numeric: true });

/** Paths in the order of their names; comparing names is slow, so they are sorted only if the `last` order lacks some. */
function byName(pictures: ReadonlyMap<string, unknown>, last: readonly string[]): readonly string[] {
  const known = last.filter((path) => pictures.has(path));
  if (known.length === pictures.size) return known;
  const ordered = new Set(known);
  return [...known, ...[...pictures.keys()].filter((path) => !ordered.has(path))].sort(collator.compare);
}
