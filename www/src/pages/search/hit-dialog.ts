import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { format } from "../../parts/scale.ts";
import { nameOf } from "../../state/files.ts";
import { visit } from "../../state/library/visit.ts";
import { searching } from "./searching.ts";

/** A hit as large as the window allows, and the way from it to pictures like it. */
class HitDialog extends Part {
  #path: string | undefined;
  #url: string | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#picture(undefined);
  }

  async show(path: string): Promise<void> {
    this.#path = path;
    this.requestUpdate();
    await this.updateComplete;
    this.#dialog?.showModal();
    const blob = (await visit.readable(path)) ?? (await visit.thumbnail(path).catch(() => undefined));
    if (path === this.#path) this.#picture(blob);
  }

  protected override render() {
    const path = this.#path;
    const hit = searching.hits.find(({ id }) => id === path);
    return html`<dialog
      class="hit"
      aria-labelledby="hit-name"
      @close=${() => this.#closed()}
      @click=${(event: Event) => event.target === event.currentTarget && this.#dialog?.close()}
    >
      ${
        path === undefined
          ? nothing
          : html`<div class="inner">
              <div class="row">
                <h2 id="hit-name" class="grow">${nameOf(path)}</h2>
                <button type="button" class="primary" @click=${() => this.#like(path)}>More like this</button>
                <button type="button" autofocus @click=${() => this.#dialog?.close()}>Close</button>
              </div>
              <figure>
                ${this.#url ? html`<img src=${this.#url} alt=${nameOf(path)} />` : nothing}
                <figcaption class="small">${path}${hit ? `, score ${format("cosine", hit.score)}` : ""}</figcaption>
              </figure>
            </div>`
      }
    </dialog>`;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.querySelector("dialog");
  }

  #like(path: string): void {
    this.#dialog?.close();
    searching.ask({ like: path });
  }

  #picture(blob: Blob | undefined): void {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = blob && URL.createObjectURL(blob);
    this.requestUpdate();
  }

  #closed(): void {
    this.#path = undefined;
    this.#picture(undefined);
  }
}

customElements.define("ocelli-hit-dialog", HitDialog);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-hit-dialog": HitDialog;
  }
}
