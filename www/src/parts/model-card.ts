import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { accuracyOf, bytesIn, choiceOf, format, listedAs, offeredFor, ownFor, pageOf } from "../state/catalog.ts";
import { kept } from "../state/kept.ts";
import { modelsOf, type Task } from "../state/models.ts";
import { switching } from "../state/switching.ts";
import { loadAt } from "./model-load.ts";
import { bytes } from "./words.ts";

/** What a task needs, as the beginning of a sentence. */
const needs: Record<Task, string> = {
  label: "Labelling needs a model.",
  find: "Finding things needs a model of its own.",
  cut: "Cutting things out needs a model of its own.",
  ask: "Answering questions needs a model of its own.",
};

/** In place of a tool's answer while it has no model: what it takes to get one, how far the load has come, why it failed. */
class ModelCard extends Part {
  static override properties = { task: { attribute: false }, photos: { attribute: false } };
  declare task: Task;
  /** Whether it is for photos, which the app's own models don't know. */
  declare photos: boolean;

  constructor() {
    super();
    this.task = "label";
    this.photos = false;
    this.watch(...Object.values(modelsOf), kept);
  }

  protected override render() {
    const { task } = this;
    const { last, loading } = modelsOf[task];
    const own = ownFor(task);
    const offered = this.photos || !own ? offeredFor(task) : own;
    const again = this.photos && last?.source === own?.source ? undefined : last;
    const choice = loading?.choice ?? again ?? choiceOf(offered, format.get());
    const listed = listedAs(choice.source) ?? offered;
    const { good, licence, caution, accuracy, quantised } = listed;
    const here = kept.of(choice.source) !== undefined;
    const place = `card ${task}`;
    const page = pageOf(listed);
    return html`<section class="model-card" aria-label="Model">
      <h2>${needs[task]}</h2>
      <p><strong>${choice.name}</strong>${listed.source === choice.source ? html` · ${good}` : nothing}</p>
      ${
        listed.source === choice.source
          ? html`<dl>
                <div>
                  <dt>Download</dt>
                  <dd>${here ? "nothing, it is here" : bytes(listed.bytes)}</dd>
                </div>
                <div>
                  <dt>On your device</dt>
                  <dd>about ${bytes(bytesIn(listed, format.get()))}${quantised ? "" : ` (${format.get().words})`}</dd>
                </div>
                <div>
                  <dt>Licence</dt>
                  <dd>${caution ? html`<strong>⚠ ${licence}</strong>` : licence}</dd>
                </div>
                ${
                  accuracy
                    ? html`<div>
                        <dt>Accuracy</dt>
                        <dd>${accuracyOf(listed)} (<a href=${accuracy.at}>${accuracy.said}</a>)</dd>
                      </div>`
                    : nothing
                }
              </dl>
              ${caution ? html`<p class="small">${caution}</p>` : nothing}`
          : nothing
      }
      ${loadAt(task, place)}
      <div class="row">
        ${
          loading
            ? nothing
            : html`<button type="button" class="primary" @click=${() => void switching.choose(choice, place)}>
                ${here ? "Load" : "Download"}
              </button>`
        }
        <a class="button" href="#/models/${task}">Other models</a>
        ${page ? html`<a class="small" href=${page}>${listed.source.slice("hf:".length)}</a>` : nothing}
      </div>
    </section>`;
  }
}

customElements.define("ocelli-model-card", ModelCard);
