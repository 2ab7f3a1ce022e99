import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Part } from "../element.ts";
import "./thumbnail.ts";

/** A picture of the collection in a grid. */
export interface PictureItem {
  path: string;
  /** Text below the picture. */
  caption?: string | TemplateResult | undefined;
  /** A short word in the picture's corner. */
  badge?: string | undefined;
}

/** Pictures that are added at a time, as one scrolls. */
const STEP = 60;

/**
 * Pictures of the collection as a grid of previews, of thousands only as many as one has scrolled to. One stop for the tab key; arrow
 * keys move within. An event `pick` tells the path of the one that was chosen: `(event as CustomEvent<string>).detail`.
 */
class PictureGrid extends Part {
  static override properties = { items: { attribute: false }, label: { attribute: false } };
  declare items: readonly PictureItem[];
  /** The grid's name for screen readers. */
  declare label: string;
  #shown = STEP;
  /** Path of the tile that the tab key reaches. */
  #current: string | undefined;
  readonly #end = new IntersectionObserver(([entry]) => entry?.isIntersecting && this.#more(), { rootMargin: "800px" });

  constructor() {
    super();
    this.items = [];
    this.label = "Pictures";
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#end.disconnect();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  protected override render() {
    const shown = this.items.slice(0, this.#shown);
    const current = shown.some(({ path }) => path === this.#current) ? this.#current : shown[0]?.path;
    return html` <ul class="pictures" aria-label=${this.label} @keydown=${(event: KeyboardEvent) => this.#key(event)}>
        ${repeat(
          shown,
          ({ path }) => path,
          (item) => this.#tile(item, item.path === current),
        )}
      </ul>
      ${shown.length < this.items.length ? html`<p class="small more">Showing ${shown.length} of ${this.items.length}; scroll for more.</p>` : nothing}`;
  }

  protected override updated(): void {
    // Observed anew, it tells again where it stands: a tall window takes several steps.
    this.#end.disconnect();
    const more = this.querySelector(":scope > .more");
    if (more) this.#end.observe(more);
  }

  #tile({ path, caption, badge }: PictureItem, current: boolean) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return html`<li>
      <button
        type="button"
        title=${path}
        data-path=${path}
        tabindex=${current ? 0 : -1}
        @focus=${() => this.#at(path)}
        @click=${() => this.dispatchEvent(new CustomEvent("pick", { detail: path }))}
      >
        <ocelli-thumbnail .path=${path} .alt=${name}></ocelli-thumbnail>
        ${badge ? html`<b class="badge">${badge}</b>` : nothing}
        ${caption ? html`<span class="caption">${caption}</span>` : nothing}
      </button>
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

  #key(event: KeyboardEvent): void {
    const tiles = [...this.querySelectorAll<HTMLButtonElement>(".pictures button")];
    const at = tiles.indexOf(event.target as HTMLButtonElement);
    const to = moved(event.key, at, tiles.length, columnsOf(tiles));
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    tiles[to]?.focus();
  }
}

customElements.define("ocelli-picture-grid", PictureGrid);

/** Where a key leads to from a tile; undefined if it is none of ours. */
function moved(key: string, at: number, count: number, columns: number): number | undefined {
  const to = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    Home: 0,
    End: count - 1,
  }[key];
  return to === undefined ? undefined : to < 0 || to >= count ? at : to;
}

/** Number of tiles in a row of the grid. */
function columnsOf(tiles: HTMLElement[]): number {
  const top = tiles[0]?.offsetTop;
  const second = tiles.findIndex((tile) => tile.offsetTop !== top);
  return second < 0 ? tiles.length : second;
}

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-picture-grid": PictureGrid;
  }
}
