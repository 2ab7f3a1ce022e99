import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { collection } from "../state/library/collection.ts";
import { visit } from "../state/library/visit.ts";

/** How far outside of the window a preview is still held: a scroll finds it there. */
const MARGIN = "400px";

const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) (target as Thumbnail).near(isIntersecting);
  },
  { rootMargin: MARGIN },
);

/** The small preview of a picture of the collection. It is in memory only while it is in sight, or nearly. */
class Thumbnail extends Part {
  static override properties = { path: { attribute: false }, alt: { attribute: false } };
  declare path: string;
  declare alt: string;
  #url: string | undefined;
  #near = false;
  /** Of which picture, in which state, the preview is; a preview may still be missing. */
  #of = "";
  #turn = 0;

  constructor() {
    super();
    this.path = "";
    this.alt = "";
    this.watch(collection, visit);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    near.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    near.unobserve(this);
    this.near(false);
  }

  /** Whether it is in sight, or nearly. */
  near(is: boolean): void {
    this.#near = is;
    if (is) return this.requestUpdate();
    this.#turn++;
    this.#of = "";
    this.#show(undefined);
  }

  protected override willUpdate(): void {
    const wanted = `${collection.pictures.get(this.path)?.modified} ${this.path}`;
    if (!this.#near || (this.#of === wanted && this.#url)) return;
    if (this.#of !== wanted) this.#show(undefined);
    void this.#load(wanted, ++this.#turn);
  }

  protected override render() {
    return this.#url
      ? html`<img src=${this.#url} alt=${this.alt} decoding="async" />`
      : this.alt
        ? html`<span class="hidden">${this.alt}</span>`
        : nothing;
  }

  async #load(wanted: string, turn: number): Promise<void> {
    this.#of = wanted;
    const blob = await visit.thumbnail(this.path).catch(() => undefined);
    if (turn === this.#turn && blob) this.#show(URL.createObjectURL(blob));
  }

  #show(url: string | undefined): void {
    if (url === this.#url) return;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = url;
    this.requestUpdate();
  }
}

customElements.define("ocelli-thumbnail", Thumbnail);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-thumbnail": Thumbnail;
  }
}
