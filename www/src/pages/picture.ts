import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "../parts/label-editor.ts";
import "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import { format } from "../parts/scale.ts";
import "../parts/score-bars.ts";
import { count } from "../parts/words.ts";
import { templateSets } from "../state/label-list.ts";
import { examples } from "../state/examples.ts";
import { models } from "../state/models.ts";
import { photoOffer } from "../state/photo-offer.ts";
import { facts } from "./picture/label/facts.ts";
import { judge, type Answer } from "./picture/label/judge.ts";
import "./picture/picture-area.ts";
import "./picture/label/score-choice.ts";
import "./picture/label/teach.ts";

/** One picture, and which of the user's labels fits it best. */
class PicturePage extends Part {
  constructor() {
    super();
    this.watch(judge, models, photoOffer);
  }

  protected override render() {
    const { answer, failed, old, waiting, list } = judge;
    const { info, choice, isBuiltIn } = models;
    return html` <h1>Ask your images anything</h1>
      <p>Nothing leaves your device. Private, works offline, no account.</p>
      <div class="bench">
        <section class="picture" aria-label="Image"><ocelli-picture-area></ocelli-picture-area></section>
        <section class="answer ${old ? "old" : ""}" aria-label="Answer" aria-busy=${String(waiting)}>
          ${failed ? notice(failed, () => judge.again()) : nothing}
          ${isBuiltIn && this.#meetsPhoto() ? html`<ocelli-model-hint></ocelli-model-hint>` : nothing}
          <div class="top" aria-live="polite" aria-atomic="true">
            ${answer && !(photoOffer.stands && judge.picture?.photo) ? this.#best(answer) : nothing}
          </div>
          <ocelli-score-bars
            .answer=${answer?.rows ?? []}
            .score=${answer?.score ?? judge.score}
            .threshold=${judge.threshold}
            .waiting=${failed ? [] : list.names}
          ></ocelli-score-bars>
          ${
            isBuiltIn
              ? html`<p class="aside">
                  The starter model is tiny (9 MB) and knows drawings, emoji and clip art. For photos,
                  <a href="#/models">get a photo model</a>. Try the cat: it gets that one wrong.
                </p>`
              : nothing
          }
        </section>
        <section class="sheet question" aria-labelledby="question-title">
          <h2 id="question-title">Labels</h2>
          <ocelli-label-editor .list=${list}></ocelli-label-editor>
          <ocelli-score-choice></ocelli-score-choice>
        </section>
      </div>
      <section class="sheet" aria-labelledby="teach-title"><ocelli-teach></ocelli-teach></section>
      ${
        info
          ? html`<section class="run" aria-labelledby="facts-title">
              <h2 id="facts-title">Performance</h2>
              ${facts(choice?.name ?? "", info, judge.runs)}
            </section>`
          : nothing
      }`;
  }

  /** Whether the picture looks like a photo, or is one of the user's that no label fits. */
  #meetsPhoto(): boolean {
    const { picture, answer, old } = judge;
    if (!picture || picture.sample !== undefined) return false;
    return picture.photo || (!old && answer !== undefined && !answer.sure);
  }

  /** A sentence about the best label, or about there being none. */
  #best({ rows, score, template, sure }: Answer) {
    const [best] = rows;
    if (!best) return nothing;
    const value = format(score, best.score);
    if (!sure)
      return html` <p class="small">Looks most like</p>
        <p class="best">Not sure</p>
        <p class="small">closest: ${best.label}, ${value}</p>`;
    // A taught label is known by its images, and not by a prompt.
    const prompt =
      template in templateSets || examples.of(best.label).length > 0 ? "" : `“${inPrompt(template, best.label)}”: `;
    return html` <p class="small">Looks most like</p>
      <p class="best">${best.label}</p>
      <p class="small">${prompt}${value}, the best of ${count(rows.length, "label")}</p>`;
  }
}

/** A label in its prompt as people write it: "an octopus". The model gets the prompt as it is. */
function inPrompt(template: string, label: string): string {
  return (/^[aeiou]/i.test(label) ? template.replace(/\ba \{\}/g, "an {}") : template).replaceAll("{}", () => label);
}

customElements.define("ocelli-picture", PicturePage);
