import type { Classification, Score } from "ocelli";
import { html } from "lit";
import { Part } from "../element.ts";
import { format, scaleOf, type Shown } from "./scale.ts";

/** One sentence on each score. */
export const meanings: Record<Score, string> = {
  auto: "What the model was trained with: softmax for CLIP, sigmoid for SigLIP.",
  softmax: "The labels compete for 100%: which one fits best, even if none fits.",
  sigmoid: "Each label is judged on its own. SigLIP scores low: 20% can be a clear yes.",
  cosine: "Similarity of image and label, from −1 to 1.",
  logits: "The raw numbers before softmax or sigmoid, on the model's own scale; often negative.",
};

/**
 * Labels with their scores as bars, best first. Rows are kept from answer to answer, so that a bar moves to its new length. Below
 * `threshold`, in the score's own unit, rows are dimmed.
 */
class ScoreBars extends Part {
  static override properties = {
    answer: { attribute: false },
    score: { attribute: false },
    threshold: { attribute: false },
    waiting: { attribute: false },
  };
  declare answer: readonly Classification[];
  declare score: Shown;
  declare threshold: number | undefined;
  /** Labels to show without scores while there is no answer. */
  declare waiting: readonly string[];

  constructor() {
    super();
    this.answer = [];
    this.score = "softmax";
    this.threshold = undefined;
    this.waiting = [];
  }

  protected override render() {
    const { answer, score, threshold = -Infinity } = this;
    if (answer.length === 0)
      return html`<ol class="bars" tabindex="0" aria-label="Labels">
        ${this.waiting.map((label) => html`<li><i></i><span>${label}</span><b></b></li>`)}
      </ol>`;
    const scale = scaleOf(
      score,
      answer.map((row) => row.score),
    );
    // By the property, which the page's content security policy allows; an attribute, with which `styleMap` begins, it forbids.
    const part = (value: number) => String(Math.min(1, Math.max(0, scale.part(value))));
    return html` <ol class="bars" tabindex="0" aria-label="Labels, best first">
        ${answer.map(
          (row) =>
            html`<li data-label=${row.label} data-score=${row.score} class=${row.score < threshold ? "below" : ""}>
              <i aria-hidden="true" .style=${`--part: ${part(row.score)}`}></i><span>${row.label}</span
              ><b>${format(score, row.score)}</b>
            </li>`,
        )}
      </ol>
      <p class="small legend">Score: ${score}. ${scale.caption}</p>`;
  }
}

customElements.define("ocelli-score-bars", ScoreBars);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-score-bars": ScoreBars;
  }
}
