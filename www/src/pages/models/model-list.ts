import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { loadAt, progressOf } from "../../parts/model-load.ts";
import { toolNames } from "../../parts/tool-switch.ts";
import { bytes } from "../../parts/words.ts";
import {
  accuracyOf,
  bytesIn,
  catalog,
  choiceOf,
  format,
  formatOf,
  formats,
  needs,
  pageOf,
  type FormatChoice,
  type Listed,
} from "../../state/catalog.ts";
import { kept } from "../../state/kept.ts";
import { modelsOf, type Task } from "../../state/models.ts";
import { switching } from "../../state/switching.ts";

/** What the published accuracy of a task's models means. */
const measures: Partial<Record<Task, string>> = {
  label: "Accuracy: how often the first of ImageNet's 1,000 labels is right, without training on them",
  find: "Accuracy: average precision on LVIS, of 100, for things of 1,203 kinds",
};

/** Models to choose from for a task, by need, with what each is good at and what it costs. */
class ModelList extends Part {
  static override properties = { task: { attribute: false } };
  declare task: Task;

  constructor() {
    super();
    this.task = "label";
    this.watch(...Object.values(modelsOf), kept);
  }

  protected override render() {
    const { task } = this;
    return html` <h2>Choose a model</h2>
      <p class="small">
        Your choice is remembered. The current model stays active until the new one is ready. Downloaded from
        huggingface.co only when you choose one.
      </p>
      ${
        task === "label"
          ? needs.map(
              (need) =>
                html`<h3>${need}</h3>
                  ${this.#rows(`Models for ${need.toLowerCase()}`, (listed) => listed.need === need)}`,
            )
          : this.#rows(`Models for ${toolNames[task]}`, (listed) => listed.task === task)
      }
      <details class="precision">
        <summary>Precision in memory: ${format.get().words}</summary>
        ${formatSelect("hub-format", format.get(), (choice) => this.#keep(choice))}
      </details>
      ${measures[task] ? html`<p class="small">${measures[task]}, as published for the original weights.</p>` : nothing}`;
  }

  #rows(name: string, wanted: (listed: Listed) => boolean) {
    return html`<ul class="model-list" aria-label=${name}>
      ${catalog.filter(wanted).map((listed) => this.#row(listed))}
    </ul>`;
  }

  #row(listed: Listed) {
    const { task, name, good, licence, caution, side, source, accuracy, recommended } = listed;
    const models = modelsOf[task];
    const page = pageOf(listed);
    const inUse = models.choice?.source === source && models.model;
    const coming = models.loading?.choice.source === source;
    const words = coming ? "Loading…" : inUse ? "Reload" : "Use";
    const here = kept.of(source);
    const place = `list ${source}`;
    return html`<li>
      <div>
        <h4>
          ${name} ${recommended ? html`<span class="badge recommended">recommended</span>` : nothing}
          ${inUse ? html`<span class="badge">in use</span>` : nothing}
        </h4>
        <p>${good}</p>
        <div class="cost">
          <p class="small">
            ${this.#cost(listed)} · ${side} × ${side} px · licence:
            ${caution ? html`<strong>⚠ ${licence}</strong>` : licence}${accuracy ? html` · accuracy ${accuracyOf(listed)} (<a href=${accuracy.at}>${accuracy.said}</a>)` : nothing}${here ? html` · ${bytes(here.bytes)} saved here` : nothing}
            ${page ? html` · <a href=${page}>${source.slice("hf:".length)}</a>` : nothing}
          </p>
          ${
            // Wherever it was asked for: the header leads here.
            coming && models.loading ? html`<div class="load-here">${progressOf(models.loading)}</div>` : nothing
          }
        </div>
        ${caution ? html`<p class="small">${caution}</p>` : nothing}
        ${here || kept.fits(bytesIn(listed, format.get())) ? nothing : html`<p class="small">Too large for this browser to keep: each visit would download it again.</p>`}
        ${coming ? nothing : loadAt(task, place)}
      </div>
      <button
        type="button"
        aria-label="${words} ${name}"
        ?disabled=${coming}
        @click=${() => void switching.choose(choiceOf(listed, format.get()), place)}
      >
        ${words}
      </button>
    </li>`;
  }

  #cost(listed: Listed): string {
    const size = bytes(listed.bytes);
    if (listed.quantised) return size;
    return `${size} to download, about ${bytes(bytesIn(listed, format.get()))} of memory and storage`;
  }

  #keep(choice: FormatChoice): void {
    format.set(choice);
    this.requestUpdate();
  }
}

/** The precision in which weights are kept in memory, to choose from, with what that means. */
export function formatSelect(id: string, chosen: FormatChoice, choose: (format: FormatChoice) => void) {
  return html`<div class="format">
    <label for=${id}>Precision</label>
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
