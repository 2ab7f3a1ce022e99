import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Part } from "../element.ts";
import type { Selection } from "../state/selection.ts";
import "./thumbnail.ts";

/** A picture of the collection in a grid. */
export interface PictureItem {
  path: string;
  /** Text below the picture. */
  caption?: string | TemplateResult | undefined;
  /** How well it fits what was asked, for checkers. */
  score?: number | undefined;
  /** The heading that it stands under; those of one heading follow each other. */
  heading?: string | undefined;
}

/** Pictures that are added at a time, as one scrolls. */
const STEP = 60;

/**
 * Pictures of the collection as a grid of previews, of thousands only as many as one has scrolled to. One stop for the tab key; arrow
 * keys move within. An event `pick` tells the path of the one that was chosen: `(event as CustomEvent<string>).detail`.
 *
 * With a `selection`, Space and the round mark select, with Shift a range, Ctrl+A all; while some are selected, a click does so, too.
 */
class PictureGrid extends Part {
  static override properties = {
    items: { attribute: false },
    label: { attribute: false },
    selection: { attribute: false },
  };
  declare items: readonly PictureItem[];
  /** The grid's name for screen readers. */
  declare label: string;
  declare selection: Selection | undefined;
  #watched: Selection | undefined;
  #shown = STEP;
  /** Path of the tile that the tab key reaches. */
  #current: string | undefined;
  readonly #end = new IntersectionObserver(([entry]) => entry?.isIntersecting && this.#more(), { rootMargin: "800px" });

  constructor() {
    super();
    this.items = [];
    this.label = "Pictures";
    this.selection = undefined;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#end.disconnect();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  protected override willUpdate(): void {
    if (!this.selection || this.#watched === this.selection) return;
    this.#watched = this.selection;
    this.watch(this.selection);
  }

  protected override render() {
    const shown = this.items.slice(0, this.#shown);
    const current = shown.some(({ path }) => path === this.#current) ? this.#current : shown[0]?.path;
    const list = (items: readonly PictureItem[], label: string) =>
      html`<ul class="pictures" aria-label=${label}>
        ${repeat(
          items,
          ({ path }) => path,
          (item) => this.#tile(item, item.path === current),
        )}
      </ul>`;
    return html`<div class="tiles" @keydown=${(event: KeyboardEvent) => this.#key(event)} @keyup=${noClick}>
        ${grouped(shown).map(([heading, items]) =>
          heading === undefined
            ? list(items, this.label)
            : html`<section>
                <h2>${heading}</h2>
                ${list(items, `${this.label}, ${heading}`)}
              </section>`,
        )}
      </div>
      ${shown.length < this.items.length ? html`<p class="small more">Showing ${shown.length} of ${this.items.length}. Scroll for more.</p>` : nothing}`;
  }

  protected override updated(): void {
    // Observed anew, it tells again where it stands: a tall window takes several steps.
    this.#end.disconnect();
    const more = this.querySelector(":scope > .more");
    if (more) this.#end.observe(more);
  }

  #tile({ path, caption, score }: PictureItem, current: boolean) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const { selection } = this;
    const is = selection?.has(path) ?? false;
    return html`<li class=${is ? "selected" : ""}>
      <button
        type="button"
        title=${path}
        data-path=${path}
        data-score=${score ?? nothing}
        tabindex=${current ? 0 : -1}
        aria-pressed=${selection ? String(is) : nothing}
        @focus=${() => this.#at(path)}
        @click=${(event: MouseEvent) => this.#clicked(event, path)}
      >
        <ocelli-thumbnail .path=${path} .alt=${name}></ocelli-thumbnail>
        ${caption ? html`<span class="caption">${caption}</span>` : nothing}
      </button>
      ${
        selection
          ? html`<input
              type="checkbox"
              class="mark-selected"
              tabindex="-1"
              aria-label=${`Select ${name}`}
              .checked=${is}
              @click=${({ shiftKey }: MouseEvent) => this.#select(path, shiftKey)}
            />`
          : nothing
      }
    </li>`;
  }

  #more(): void {
    this.#shown += STEP;
    this.requestUpdate();
  }

  #at(path: string): void {
    if (path === this.#current) return;
    this.#current = path;
    this.requestUpdate();
  }

  #clicked({ shiftKey, ctrlKey, metaKey }: MouseEvent, path: string): void {
    if (this.selection && (shiftKey || ctrlKey || metaKey || this.selection.size > 0)) this.#select(path, shiftKey);
    else this.#pick(path);
  }

  #pick(path: string): void {
    this.dispatchEvent(new CustomEvent("pick", { detail: path }));
  }

  #select(path: string, range: boolean): void {
    if (range) {
      const order = this.items.map(({ path }) => path);
      this.selection?.extend(path, order);
    } else this.selection?.toggle(path);
    this.#at(path);
  }

  #key(event: KeyboardEvent): void {
    const tiles = [...this.querySelectorAll<HTMLButtonElement>(".pictures button")];
    const tile = tiles.find((one) => one === event.target);
    const path = tile?.dataset["path"];
    if (!tile || path === undefined) return;
    const { key, shiftKey, ctrlKey, metaKey } = event;
    const to = moved(key, tiles, tiles.indexOf(tile));
    if (to) {
      to.focus();
      if (this.selection && shiftKey) this.#select(to.dataset["path"] ?? path, true);
    } else if (key === "Enter") this.#pick(path);
    else if (!this.selection) return;
    else if (key === " ") this.#select(path, shiftKey);
    else if (key === "a" && (ctrlKey || metaKey)) this.selection.add(this.items.map((item) => item.path));
    else if (key === "Escape" && this.selection.size > 0) this.selection.clear();
    else return;
    event.preventDefault();
  }
}

customElements.define("ocelli-picture-grid", PictureGrid);

/** Firefox clicks a button when Space is let go. */
function noClick(event: KeyboardEvent): void {
  if (event.key === " " && (event.target as Element).matches("[aria-pressed]")) event.preventDefault();
}

/** Items with the headings that they stand under. */
function grouped(items: readonly PictureItem[]): [heading: string | undefined, items: PictureItem[]][] {
  const groups: [string | undefined, PictureItem[]][] = [];
  for (const item of items) {
    const last = groups.at(-1);
    if (last && last[0] === item.heading) last[1].push(item);
    else groups.push([item.heading, [item]]);
  }
  return groups;
}

/** The tile to which a key leads from another one; undefined if it is none of ours. */
function moved(key: string, tiles: readonly HTMLButtonElement[], at: number): HTMLButtonElement | undefined {
  const last = tiles.length - 1;
  const steps: Record<string, () => HTMLButtonElement | undefined> = {
    ArrowLeft: () => tiles[Math.max(0, at - 1)],
    ArrowRight: () => tiles[Math.min(last, at + 1)],
    ArrowUp: () => inNextRow(tiles.slice(0, at + 1).reverse()),
    ArrowDown: () => inNextRow(tiles.slice(at)),
    Home: () => tiles[0],
    End: () => tiles[last],
  };
  return steps[key]?.();
}

/** From the first of some tiles to the one below or above it: rows are of different lengths where a heading comes between. */
function inNextRow([from, ...others]: HTMLButtonElement[]): HTMLButtonElement | undefined {
  const place = (tile: HTMLButtonElement) => tile.getBoundingClientRect();
  if (!from) return undefined;
  const { top, left } = place(from);
  const next = others.find((tile) => Math.abs(place(tile).top - top) > 1);
  if (!next) return from;
  const row = others.filter((tile) => Math.abs(place(tile).top - place(next).top) <= 1);
  const apart = (tile: HTMLButtonElement) => Math.abs(place(tile).left - left);
  return row.reduce((nearest, tile) => (apart(tile) < apart(nearest) ? tile : nearest));
}

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-picture-grid": PictureGrid;
  }
}
