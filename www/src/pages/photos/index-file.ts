import { OcelliError } from "ocelli";
import type { IndexFile } from "ocelli/index";
import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { download } from "../../parts/dom.ts";
import { count } from "../../parts/words.ts";
import { collection } from "../../state/library/collection.ts";
import { exportIndex, importIndex } from "../../state/library/exchange.ts";
import { models } from "../../state/models.ts";

const kinds: Record<IndexFile, { name: string; what: string }> = {
  safetensors: {
    name: "safetensors",
    what: "Vectors with the paths of their images: for Ocelli in another browser, and for Python.",
  },
  jsonl: { name: "JSON lines", what: "One line per image, with its path and vector: for any language." },
  npy: {
    name: "NumPy (.npy)",
    what: "The vectors alone, in the order of the other two files. Ocelli can't import it.",
  },
};

/** The index as a file: saved, and taken from one. Pictures themselves are in neither. */
class IndexFilePart extends Part {
  #kind: IndexFile = "safetensors";
  #said = "";
  #failed: unknown;

  constructor() {
    super();
    this.watch(collection);
  }

  protected override render() {
    const size = collection.index?.size ?? 0;
    return html` <div class="row">
        <div class="grow">
          <label for="index-kind">File type</label>
          <select
            id="index-kind"
            aria-describedby="index-what"
            @change=${(event: Event) => this.#choose((event.target as HTMLSelectElement).value as IndexFile)}
          >
            ${Object.entries(kinds).map(([kind, { name }]) => html`<option value=${kind} ?selected=${kind === this.#kind}>${name}</option>`)}
          </select>
        </div>
        <button type="button" ?disabled=${size === 0} @click=${() => this.#save()}>Export</button>
        <span
          ><input
            id="index-file"
            type="file"
            class="hidden"
            accept=".safetensors,.jsonl"
            @change=${(event: Event) => void this.#open(event.target as HTMLInputElement)}
          />
          <label for="index-file" class="button">Import…</label></span
        >
      </div>
      <p id="index-what" class="small">${kinds[this.#kind].what}</p>
      <p role="status">${this.#said}</p>
      <div role="alert">
        ${
          this.#failed
            ? html`<div class="notice">
                <h3>This index can't be imported</h3>
                <p>${inWords(this.#failed)}</p>
              </div>`
            : nothing
        }
      </div>`;
  }

  #choose(kind: IndexFile): void {
    this.#kind = kind;
    this.requestUpdate();
  }

  #save(): void {
    download(exportIndex(this.#kind), `ocelli-index.${this.#kind}`);
  }

  async #open(input: HTMLInputElement): Promise<void> {
    const file = input.files?.[0];
    input.value = ""; // the same file again is a change again
    if (!file) return;
    [this.#said, this.#failed] = ["Reading…", undefined];
    this.requestUpdate();
    try {
      const imported = await importIndex(file);
      this.#said = `${count(imported, "photo")} imported.${imported > 0 ? " Add their folder to see them." : ""}`;
    } catch (error) {
      [this.#said, this.#failed] = ["", error];
    }
    this.requestUpdate();
  }
}

customElements.define("ocelli-index-file", IndexFilePart);

function inWords(error: unknown): string {
  const code = error instanceof OcelliError ? error.code : "";
  if (code === "wrong-model") {
    return `It was made by another model than ${models.choice?.name ?? "the current one"}, and vectors of two models can't be compared. Load that model on Models first, or index the images again with this one.`;
  }
  if (code === "bad-checkpoint") return `Expected a file that “Export” has written. ${(error as Error).message}`;
  if (code === "bad-input")
    return "It has vectors alone, without the paths of their images. Import a safetensors file or JSON lines instead.";
  return error instanceof Error ? error.message : String(error);
}
