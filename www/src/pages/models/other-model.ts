import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { loadAt } from "../../parts/model-load.ts";
import { AddressError, chosen, modelsOf, type Task } from "../../state/models.ts";
import { switching } from "../../state/switching.ts";
import { formatOf, type FormatChoice } from "../../state/catalog.ts";
import { formatSelect } from "./model-list.ts";

const PLACE = "other";

/** The window with a folder picker, which some browsers lack, and TypeScript's DOM types too. */
const picker = window as { showDirectoryPicker?: () => Promise<FileSystemDirectoryHandle> };

/** What a model of a task may be. */
const kinds: Record<Task, string> = {
  label: "A CLIP or SigLIP model",
  find: "An OWL-ViT, OWLv2 or Florence-2 model",
  cut: "A CLIPSeg model",
  ask: "A SmolVLM, PaliGemma, LLaVA or Florence-2 model",
};

/** A model from an address, or from a folder of the user's own. */
class OtherModel extends Part {
  static override properties = { task: { attribute: false } };
  declare task: Task;
  #typed = "";
  #wrong = "";
  /** Why the folder that was picked could not be read. */
  #refused = "";
  #format: FormatChoice = formatOf("none");

  constructor() {
    super();
    this.task = "label";
    this.watch(...Object.values(modelsOf));
  }

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
            placeholder="owner/name"
            aria-describedby="model-address-help"
            aria-invalid=${this.#wrong ? "true" : nothing}
            .value=${this.#typed}
            @input=${(event: InputEvent) => this.#type((event.target as HTMLInputElement).value)}
          />
          <button class="primary">Load</button>
        </div>
        <p id="model-address-help" class="small">
          ${kinds[this.task]}: <code>owner/name</code> or its page on huggingface.co, or the address of a folder.
        </p>
        ${this.#wrong ? html`<p class="wrong" role="alert">${this.#wrong}</p>` : nothing}
        ${formatSelect("other-format", this.#format, (format) => this.#choose(format))}
      </form>
      <div class="own-folder">
        <p>Or use a model's folder on this device. Files are read locally and never uploaded.</p>
        ${
          picker.showDirectoryPicker
            ? html`<button type="button" @click=${() => void this.#pick()}>Choose a folder…</button>`
            : html`<input
                  id="model-folder"
                  class="hidden"
                  type="file"
                  webkitdirectory
                  @change=${(event: Event) => this.#files(event.target as HTMLInputElement)}
                />
                <label class="button" for="model-folder">Choose a folder…</label>`
        }
        ${this.#refused ? html`<p class="wrong" role="alert">${this.#refused}</p>` : nothing}
      </div>
      ${loadAt(this.task, PLACE)}`;
  }

  #submit(event: Event): void {
    event.preventDefault();
    try {
      void switching.choose(chosen(this.#typed, this.#format.value, this.task), PLACE);
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
      this.#refused = `The browser won't share this folder (${(error as DOMException).message}). Choose another one.`;
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
    void switching.choose({ task: this.task, source, name, format: value === "none" ? undefined : value }, PLACE);
  }
}

customElements.define("ocelli-other-model", OtherModel);
