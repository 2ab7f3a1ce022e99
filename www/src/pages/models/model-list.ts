import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { bytes } from "../../parts/words.ts";
import { models } from "../../state/models.ts";
import { remembered } from "../../state/store.ts";
import { catalog, choiceOf, formatOf, formats, pageOf, type FormatChoice, type Listed } from "./catalog.ts";
import { kept } from "./kept.ts";

const remember = remembered<string>("format", "q8");

/** Models to choose from, with what each is good at and what it costs. */
class ModelList extends Part {
  #format: FormatChoice = formatOf(remember.get());

  constructor() {
    super();
    this.watch(models, kept);
  }

  protected override render() {
    const [own, hub] = [true, false].map((quantised) =>
      catalog.filter((listed) => Boolean(listed.quantised) === quantised),
    );
    return html` <h2>Choose a model</h2>
      <p class="small">The last choice is remembered. The model before it stays in use until the new one stands.</p>
      <h3>With this app</h3>
      <ul class="model-list" aria-label="Models of this app">
        ${own?.map((listed) => this.#row(listed))}
      </ul>
      <h3>From Hugging Face</h3>
      <p class="small">
        They are downloaded from huggingface.co on your connection when you choose them, and only then.
      </p>
      ${formatSelect("hub-format", this.#format, (format) => this.#keep(format))}
      <ul class="model-list" aria-label="Models from Hugging Face">
        ${hub?.map((listed) => this.#row(listed))}
      </ul>`;
  }

  #row(listed: Listed) {
    const { name, good, licence, side, source } = listed;
    const page = pageOf(listed);
    const inUse = models.choice?.source === source && models.model;
    const coming = models.loading?.choice.source === source;
    const words = coming ? "Loading …" : inUse ? "Load again" : "Use";
    const here = kept.of(source);
    return html`<li>
      <div>
        <h4>${name} ${inUse ? html`<span class="badge">in use</span>` : nothing}</h4>
        <p>${good}</p>
        <p class="small">
          ${this.#cost(listed)} · sees ${side} × ${side} pixels · licence:
          ${licence}${here ? html` · ${bytes(here.bytes)} kept here` : nothing}
          ${page ? html` · <a href=${page}>${source.slice("hf:".length)}</a>` : nothing}
        </p>
        ${here || kept.fits(listed.bytes) ? nothing : html`<p class="small">Too large for this browser to keep: each visit would download it again.</p>`}
      </div>
      <button
        type="button"
        aria-label="${words} ${name}"
        ?disabled=${coming}
        @click=${() => void models.load(choiceOf(listed, this.#format))}
      >
        ${words}
      </button>
    </li>`;
  }

  #cost({ bytes: size, quantised }: Listed): string {
    return quantised ? bytes(size) : `${bytes(size)} to download, about ${bytes(size * this.#format.share)} of memory`;
  }

  #keep(format: FormatChoice): void {
    this.#format = format;
    remember.set(format.value);
    this.requestUpdate();
  }
}

/** How weights are kept in memory, to choose from, with what that means. */
export function formatSelect(id: string, chosen: FormatChoice, choose: (format: FormatChoice) => void) {
  return html`<div class="format">
    <label for=${id}>Weights in memory</label>
    <select
      id=${id}
      aria-describedby="${id}-about"
      @change=${(event: Event) => choose(formatOf((event.target as HTMLSelectElement).value))}
    >
      ${formats.map(({ value, words }) => html`<option value=${value} ?selected=${value === chosen.value}>${words}</option>`)}
    </select>
    <p id="${id}-about" class="small">${chosen.about}</p>
  </div>`;
}

customElements.define("ocelli-model-list", ModelList);
