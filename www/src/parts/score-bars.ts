import type { Classification, Score } from "ocelli";
import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { format, scaleOf, type Shown } from "./scale.ts";
import { number } from "./words.ts";

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
    top: { attribute: false },
    waiting: { attribute: false },
  };
  declare answer: readonly Classification[];
  declare score: Shown;
  declare threshold: number | undefined;
  /** So many are shown until the others are asked for. */
  declare top: number;
  /** Labels to show without scores while there is no answer. */
  declare waiting: readonly string[];
  /** Whether all are shown. */
  #all = false;

  constructor() {
    super();
    this.answer = [];
    this.score = "softmax";
    this.threshold = undefined;
    this.top = Infinity;
    this.waiting = [];
  }

  protected override render() {
    const { answer, score, threshold = -Infinity } = this;
    const most = this.#all ? Infinity : this.top;
    if (answer.length === 0)
      return html`<ol class="bars" tabindex="0" aria-label="Labels">
          ${this.waiting.map((label, at) => html`<li ?hidden=${at >= most}><i></i><span>${label}</span><b></b></li>`)}
        </ol>
        ${this.#more(this.waiting.length)}
        <p class="small legend">${this.waiting.length > 0 ? "Waiting for the model." : ""}</p>`;
    const scale = scaleOf(
      score,
      answer.map((row) => row.score),
    );
    // By the property, which the page's content security policy allows; an attribute, with which `styleMap` begins, it forbids.
    const part = (value: number) => String(Math.min(1, Math.max(0, scale.part(value))));
    return html` <ol class="bars" tabindex="0" aria-label="Labels, best first">
        ${answer.map(
          (row, at) =>
            html`<li
              ?hidden=${at >= most}
              data-label=${row.label}
              data-score=${row.score}
              class=${row.score < threshold ? "below" : ""}
            >
              <i aria-hidden="true" .style=${`--part: ${part(row.score)}`}></i><span>${row.label}</span
              ><b>${format(score, row.score)}</b>
            </li>`,
        )}
      </ol>
      ${this.#more(answer.length)}
      <p class="small legend">Score: ${score}. ${scale.caption}</p>`;
  }

  /** The button for the labels that are not shown. */
  #more(labels: number) {
    if (labels <= this.top) return nothing;
    return html`<button
      type="button"
      class="quiet more"
      aria-expanded=${String(this.#all)}
      @click=${() => this.#toggle()}
    >
      ${this.#all ? "Show less" : `${number(labels - this.top)} more`}
    </button>`;
  }

  #toggle(): void {
    this.#all = !this.#all;
    this.requestUpdate();
  }
}

customElements.define("ocelli-score-bars", ScoreBars);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-score-bars": ScoreBars;
  }
}
