import { html } from "lit";
import { Part } from "../element.ts";
import { parseLabels, type LabelList } from "../state/label-list.ts";

/** The labels of a list, each with a cross that removes it, and a field for more. */
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
    const { names } = this.list;
    return html`<ul class="label-chips" aria-label="Labels">
        ${names.map(
          (name) =>
            html`<li>
              ${name}
              <button type="button" class="quiet" aria-label=${`Remove ${name}`} @click=${() => this.#remove(name)}>
                ×
              </button>
            </li>`,
        )}
      </ul>
      <form class="row" @submit=${(event: Event) => this.#add(event)}>
        <input
          class="grow"
          type="text"
          aria-label="New label"
          placeholder="Add labels: sunset, red car"
          autocomplete="off"
          spellcheck="false"
        />
        <button>Add label</button>
      </form>`;
  }

  #add(event: Event): void {
    event.preventDefault();
    const input = this.querySelector("input") as HTMLInputElement;
    this.#write(parseLabels([...this.list.names, input.value].join("\n")));
    input.value = "";
  }

  #remove(removed: string): void {
    this.#write(this.list.names.filter((name) => name !== removed));
    this.querySelector("input")?.focus();
  }

  #write(names: readonly string[]): void {
    this.list.write({ labels: names.join(", ") });
  }
}

customElements.define("ocelli-label-chips", LabelChips);
