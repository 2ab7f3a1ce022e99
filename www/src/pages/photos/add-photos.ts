import { html, svg } from "lit";
import { Part } from "../../element.ts";
import { Arrivals } from "../../parts/arrivals.ts";
import { menu } from "../../parts/menu.ts";
import { collection } from "../../state/library/collection.ts";
import { pickFolder, takeDropped, takeFiles, takeInput, takeSamples } from "../../state/library/pick.ts";
import { samples } from "../../state/samples.ts";
import { adding } from "./adding.ts";

/** All ways to photos: a large place to drop them while there are none, then a button. What is dropped anywhere on the page is added. */
class AddPhotos extends Part {
  readonly #arrivals = new Arrivals(
    this,
    (data) => adding.ask(() => takeDropped(data)),
    (picture) => collection.pictures.size === 0 && adding.ask(() => takeFiles([picture])),
  );

  constructor() {
    super();
    this.watch(collection);
  }

  protected override render() {
    return html`${collection.pictures.size === 0 ? this.#welcome() : this.#button()}
      <input type="file" data-kind="folder" hidden webkitdirectory multiple aria-label="Folder" @change=${this.#took} />
      <input
        type="file"
        data-kind="files"
        hidden
        multiple
        accept="image/*,.heic,.heif"
        aria-label="Photos"
        @change=${this.#took}
      />
      ${this.#arrivals.over ? html`<p class="drop-hint">Drop photos or folders to add them</p>` : ""}`;
  }

  /** Opens the browser's own dialog: for a folder that it can read again, where it can. */
  ask(kind: "folder" | "files"): void {
    const input = this.querySelector(`input[data-kind="${kind}"]`) as HTMLInputElement;
    if (kind === "folder") adding.ask(() => pickFolder(input));
    else input.click();
  }

  /** What there is to gain, while there is nothing to show. */
  #welcome() {
    return html`<section class="welcome ${this.#arrivals.over ? "dropping" : ""}" aria-label="Add photos">
      ${drawing}
      <h2>Drop your photos here</h2>
      <ul>
        <li><b>Find</b> photos by what they show, in your own words.</li>
        <li><b>Tag</b> thousands at once, and keep the tags.</li>
        <li><b>Spot</b> near-duplicates, and choose which to keep.</li>
      </ul>
      <div class="row">
        <button type="button" class="primary" @click=${() => this.ask("folder")}>Choose a folder</button>
        <button type="button" @click=${() => this.ask("files")}>Choose photos</button>
        <button type="button" class="quiet" @click=${() => adding.ask(takeSamples)}>
          Try with ${samples.length} sample images
        </button>
      </div>
      <p class="small">Photos are read on your device and never uploaded.</p>
      <p class="small">JPEG, PNG, WebP, GIF, AVIF and BMP. HEIC opens in Safari.</p>
    </section>`;
  }

  #button() {
    return menu(
      "Add",
      html`<button type="button" @click=${() => this.ask("folder")}>Choose a folder…</button>
        <button type="button" @click=${() => this.ask("files")}>Choose photos…</button>
        <p class="small">Or drop them anywhere on this page.</p>`,
      "end add",
    );
  }

  #took(event: Event): void {
    adding.ask(() => takeInput(event.target as HTMLInputElement));
  }
}

/** Three photos, one upon the other, the top one with the eye of the app's sign for a sun. */
const drawing = html`<svg class="drawing" viewBox="0 0 220 130" aria-hidden="true">
  <g class="sheet-below" transform="rotate(-9 70 70)"><rect x="22" y="32" width="96" height="76" rx="7" /></g>
  <g class="sheet-below" transform="rotate(8 150 70)"><rect x="104" y="30" width="96" height="76" rx="7" /></g>
  ${svg`<g class="sheet-top"><rect x="58" y="20" width="108" height="88" rx="8" />
    <path d="M66 96 L94 62 L112 82 L128 66 L158 96 Z" class="hills" />
    <circle cx="136" cy="44" r="11" class="iris" /><circle cx="136" cy="44" r="6" class="pupil" /></g>`}
</svg>`;

customElements.define("ocelli-add-photos", AddPhotos);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-add-photos": AddPhotos;
  }
}
