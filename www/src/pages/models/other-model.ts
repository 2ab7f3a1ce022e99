import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { AddressError, chosen, models } from "../../state/models.ts";
import { formatOf, type FormatChoice } from "./catalog.ts";
import { formatSelect } from "./model-list.ts";

/** The window with a folder picker, which some browsers lack, and TypeScript's DOM types too. */
const picker = window as { showDirectoryPicker?: () => Promise<FileSystemDirectoryHandle> };

/** A model from an address, or from a folder of the user's own. */
class OtherModel extends Part {
  #typed = "";
  #wrong = "";
  /** Why the folder that was picked could not be read. */
  #refused = "";
  #format: FormatChoice = formatOf("none");

  protected override render() {
    return html` <h2>Another model</h2>
      <form @submit=${(event: Event) => this.#submit(event)}>
        <label for="model-address">Address</label>
        <div class="row">
          <input
            id="model-address"
            class="grow"
            type="text"
            inputmode="url"
            spellcheck="false"
            autocomplete="off"
            autocapitalize="off"
            placeholder="hf:owner/name"
            aria-describedby="model-address-help"
            aria-invalid=${this.#wrong ? "true" : nothing}
            .value=${this.#typed}
            @input=${(event: InputEvent) => this.#type((event.target as HTMLInputElement).value)}
          />
          <button class="primary">Load</button>
        </div>
        <p id="model-address-help" class="small">
          A repository as <code>hf:owner/name</code>, a model's page on huggingface.co, or the address of a folder with
          a CLIP or SigLIP.
        </p>
        ${this.#wrong ? html`<p class="wrong" role="alert">${this.#wrong}</p>` : nothing}
        ${formatSelect("other-format", this.#format, (format) => this.#choose(format))}
      </form>
      <div class="own-folder">
        <p>Or a model's folder on this device. Its files are read here, and go nowhere.</p>
        ${
          picker.showDirectoryPicker
            ? html`<button type="button" @click=${() => void this.#pick()}>Choose a folder …</button>`
            : html`<input
                  id="model-folder"
                  class="hidden"
                  type="file"
                  webkitdirectory
                  @change=${(event: Event) => this.#files(event.target as HTMLInputElement)}
                />
                <label class="button" for="model-folder">Choose a folder …</label>`
        }
        ${this.#refused ? html`<p class="wrong" role="alert">${this.#refused}</p>` : nothing}
      </div>`;
  }

  #submit(event: Event): void {
    event.preventDefault();
    try {
      void models.load(chosen(this.#typed, this.#format.value));
      this.#wrong = "";
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      this.#wrong = error.message;
      this.querySelector("input")?.focus();
    }
    this.requestUpdate();
  }

  #type(typed: string): void {
    this.#typed = typed;
    this.#wrong = "";
    this.requestUpdate();
  }

  #choose(format: FormatChoice): void {
    this.#format = format;
    this.requestUpdate();
  }

  async #pick(): Promise<void> {
    this.#refused = "";
    this.requestUpdate();
    try {
      const folder = await picker.showDirectoryPicker?.();
      if (folder) this.#load(folder, folder.name);
    } catch (error) {
      // The user has closed the browser's window.
      if ((error as DOMException).name === "AbortError") return;
      this.#refused = `The browser does not hand out this folder (${(error as DOMException).message}). Choose another one.`;
      this.requestUpdate();
    }
  }

  #files(input: HTMLInputElement): void {
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files[0]) this.#load(files, files[0].webkitRelativePath.split("/")[0] || "your folder");
  }

  #load(source: FileSystemDirectoryHandle | File[], name: string): void {
    const { value } = this.#format;
    void models.load({ source, name, format: value === "none" ? undefined : value });
  }
}

customElements.define("ocelli-other-model", OtherModel);
