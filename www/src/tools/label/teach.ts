import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { parseLabels } from "../../state/label-list.ts";
import { examples } from "../../state/examples.ts";
import { pictureOf, PictureError, unreadable } from "../../state/picture.ts";
import { shown } from "../../state/shown.ts";
import { judge } from "./judge.ts";

/** The form that teaches a label by pictures, and what was taught before. */
class Teach extends Part {
  #label = "";
  #trouble = "";
  #busy = false;
  /** Object URLs of the previews, by example. */
  readonly #addresses = new Map<string, string>();

  constructor() {
    super();
    this.watch(examples, judge.list, shown);
  }

  protected override render() {
    const { names } = judge.list;
    const taught = examples.labels;
    this.#letGo();
    return html` <p class="small">
        Add 1–5 images of something (your cup, your dog) and Ocelli will recognise it, with any model. They stay on this
        device. Taught labels tend to outscore others. Teach every label you care about, or set a threshold.
      </p>
      <form @submit=${(event: Event) => event.preventDefault()}>
        <label for="teach-label">Label to teach</label>
        <div class="row">
          <div class="grow">
            <input
              id="teach-label"
              type="text"
              list="teach-labels"
              autocomplete="off"
              placeholder="From the list, or new"
              .value=${this.#label}
              aria-invalid=${this.#trouble ? "true" : nothing}
              aria-describedby="teach-wrong"
              @input=${(event: Event) => this.#named((event.target as HTMLInputElement).value)}
            />
            <datalist id="teach-labels">${names.map((name) => html`<option value=${name}></option>`)}</datalist>
          </div>
          <button
            type="button"
            ?disabled=${!shown.picture || this.#busy}
            @click=${() => this.#teach(shown.picture ? [shown.picture.blob] : [])}
          >
            Add this image
          </button>
          <input
            id="teach-files"
            type="file"
            accept="image/*"
            multiple
            class="hidden"
            @change=${(event: Event) => this.#picked(event.target as HTMLInputElement)}
          />
          <label for="teach-files" class="button">Add files</label>
        </div>
        <p id="teach-wrong" class="wrong" role="alert">${this.#trouble}</p>
      </form>
      ${
        taught.length > 0
          ? html` <ul class="taught" aria-label="Taught labels">
                ${taught.map((label) => this.#row(label, names.includes(label)))}
              </ul>
              <button type="button" class="quiet" @click=${() => this.#try(() => this.#forgetAll())}>
                Forget everything taught
              </button>`
          : nothing
      }`;
  }

  #row(label: string, listed: boolean) {
    return html`<li data-taught=${label}>
      <div class="row">
        <h3>${label}</h3>
        ${listed ? nothing : html`<span class="small">not in the list</span><button type="button" class="quiet" @click=${() => this.#list(label)}>Add to list</button>`}
        <button
          type="button"
          class="quiet"
          aria-label="Forget ${label}"
          @click=${() => this.#try(() => examples.forget({ label }))}
        >
          Forget
        </button>
      </div>
      <div class="previews">
        ${examples.of(label).map(
          ({ id, picture }, at) =>
            html`<span class="preview">
              <img src=${this.#address(id, picture)} alt="Example ${at + 1} of ${label}" />
              <button
                type="button"
                aria-label="Remove example ${at + 1} of ${label}"
                title="Remove"
                @click=${() => this.#try(() => examples.forget({ id }))}
              >
                ✕
              </button>
            </span>`,
        )}
      </div>
    </li>`;
  }

  #named(label: string): void {
    this.#label = label;
    this.#say("");
  }

  #picked(input: HTMLInputElement): void {
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files.length > 0) this.#teach(files);
  }

  #teach(pictures: readonly Blob[]): void {
    const [label, ...more] = parseLabels(this.#label);
    if (label === undefined || more.length > 0) return this.#say("Enter one label first, without commas.");
    this.#try(async () => {
      await examples.teach(label, await Promise.all(pictures.map(readable)));
      this.#list(label);
    });
  }

  /** Adds the label to the page's list, if it is not there. */
  #list(label: string): void {
    const { names, text } = judge.list;
    if (names.includes(label)) return;
    const before = text.labels.trimEnd().replace(/,$/, "");
    judge.list.write({ labels: before ? `${before}${before.includes("\n") ? "\n" : ", "}${label}` : label });
  }

  async #forgetAll(): Promise<void> {
    for (const label of examples.labels) await examples.forget({ label });
  }

  async #try(work: () => Promise<void>): Promise<void> {
    this.#busy = true;
    this.#say("");
    try {
      await work();
    } catch (error) {
      this.#say(
        error instanceof PictureError
          ? error.message
          : `That did not work: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    this.#busy = false;
    this.requestUpdate();
  }

  #say(trouble: string): void {
    this.#trouble = trouble;
    this.requestUpdate();
  }

  #address(id: string, picture: Blob): string {
    let address = this.#addresses.get(id);
    if (!address) this.#addresses.set(id, (address = URL.createObjectURL(picture)));
    return address;
  }

  /** Revokes the addresses of examples that no longer exist. */
  #letGo(): void {
    const ids = new Set(examples.labels.flatMap((label) => examples.of(label).map(({ id }) => id)));
    for (const [id, address] of this.#addresses) {
      if (ids.has(id)) continue;
      URL.revokeObjectURL(address);
      this.#addresses.delete(id);
    }
  }
}

/** @throws {PictureError} If it is no picture. */
async function readable(file: Blob): Promise<Blob> {
  const name = file instanceof File ? file.name : "This image";
  try {
    const { blob, address } = await pictureOf(file, name);
    URL.revokeObjectURL(address);
    return blob;
  } catch (cause) {
    throw new PictureError(`${name}: ${unreadable(file)} Nothing was taught.`, { cause });
  }
}

customElements.define("ocelli-teach", Teach);
