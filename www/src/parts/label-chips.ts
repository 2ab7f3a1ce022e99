import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { parseLabels, type LabelList } from "../state/label-list.ts";

/** A list of labels as chips: each can be removed, and others are typed at the end. */
class LabelChips extends Part {
  static override properties = { list: { attribute: false } };
  declare list: LabelList;
  #watched: LabelList | undefined;

  protected override willUpdate(): void {
    if (this.#watched === this.list) return;
    this.#watched = this.list;
    this.watch(this.list);
  }

  protected override render() {
    const { names, wrong } = this.list;
    return html`<div class="label-chips">
      <ul aria-label="Labels">
        ${names.map(
          (name) =>
            html`<li>
              <span>${name}</span
              ><button type="button" aria-label="Remove ${name}" @click=${() => this.#remove(name)}>×</button>
            </li>`,
        )}
      </ul>
      <input
        type="text"
        aria-label="Add a label"
        placeholder=${wrong.labels ?? "Add a label"}
        aria-invalid=${wrong.labels ? "true" : nothing}
        spellcheck="false"
        autocomplete="off"
        autocapitalize="off"
        enterkeyhint="done"
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
        @input=${(event: Event) => this.#typed(event.target as HTMLInputElement)}
        @blur=${(event: Event) => this.#add(event.target as HTMLInputElement)}
      />
    </div>`;
  }

  #key(event: KeyboardEvent): void {
    const input = event.target as HTMLInputElement;
    if (event.key === "Enter") {
      event.preventDefault();
      this.#add(input);
    }
    const last = this.list.names.at(-1);
    if (event.key === "Backspace" && input.value === "" && last !== undefined) this.#remove(last, false);
  }

  /** A comma ends a label. */
  #typed(input: HTMLInputElement): void {
    if (/[,\n]/.test(input.value)) this.#add(input);
  }

  #add(input: HTMLInputElement): void {
    const added = parseLabels(input.value);
    input.value = "";
    if (added.length > 0) this.#write([...this.list.names, ...added]);
  }

  /** Removes a label; who did it by its button, which goes, is led to the field. */
  #remove(name: string, lead = true): void {
    this.#write(this.list.names.filter((one) => one !== name));
    if (lead) this.querySelector("input")?.focus();
  }

  #write(names: readonly string[]): void {
    this.list.write({ labels: [...new Set(names)].join(", ") });
  }
}

customElements.define("ocelli-label-chips", LabelChips);
