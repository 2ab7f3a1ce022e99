import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { choiceOf, forPhotos, format, listedAs } from "../state/catalog.ts";
import { models, modelsOf, type Task } from "../state/models.ts";
import { photoOffer } from "../state/photo-offer.ts";
import { switching } from "../state/switching.ts";
import { loadAt } from "./model-load.ts";
import { bytes } from "./words.ts";

const PLACE = "hint";

/**
 * The way from the built-in model to one for photos, in one click: shown by pages that have met a photo. Once it is wanted, the
 * download's progress and its errors are here.
 */
class ModelHint extends Part {
  static override properties = { says: { attribute: false } };
  /** What was met, in a sentence. */
  declare says: string;

  constructor() {
    super();
    this.says = "This looks like a photo.";
    this.watch(models, photoOffer);
  }

  protected override render() {
    const load = loadAt("label", PLACE);
    if (!photoOffer.stands && load === nothing) return nothing;
    const [small, better] = forPhotos;
    const offer = (listed: (typeof forPhotos)[number] | undefined, words: string, kind: string) =>
      listed &&
      html`<button
        type="button"
        class=${kind}
        @click=${() => void switching.choose(choiceOf(listed, format.get()), PLACE)}
      >
        ${words} · ${bytes(listed.bytes)} · ${listed.licence}
      </button>`;
    return html`<section class="photo-hint" aria-label="Photo models">
      <p>
        <strong>${this.says}</strong> The starter model only knows drawings. Get a photo model to tag and search photos.
      </p>
      ${
        load === nothing || models.failed
          ? html`<div class="row">
              ${offer(small, `Get ${small?.name}`, "primary")} ${offer(better, `${better?.name}, better`, "")}
              <a href="#/models">All models</a>
              <button type="button" class="quiet" @click=${() => photoOffer.decline()}>Not now</button>
            </div>`
          : nothing
      }
      ${load}
    </section>`;
  }
}

customElements.define("ocelli-model-hint", ModelHint);

/** A line that says what the model in use knows; nothing for models that the catalogue lacks. */
export function knowledge(task: Task = "label") {
  const { choice, model } = modelsOf[task];
  const listed = listedAs(choice?.source);
  return listed?.knows && model
    ? html`<p class="small knows">${listed.name} knows ${listed.knows}. <a href="#/models/${task}">Change model</a></p>`
    : nothing;
}

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-model-hint": ModelHint;
  }
}
