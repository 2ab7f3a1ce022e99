import { html } from "lit";
import { Part } from "../../element.ts";
import { format, type Shown } from "../../parts/scale.ts";
import { meanings } from "../../parts/score-bars.ts";
import { models } from "../../state/models.ts";
import { judge } from "./judge.ts";

const scores: readonly Shown[] = ["softmax", "sigmoid", "cosine", "logits"];

/** Range of the slider for cosines; lower ones hardly ever occur. */
const COSINES = { min: -0.25, max: 1, step: 0.005 };

/** Range and step of a threshold, in the score's unit. */
function rangeOf(score: Shown): { min: number; max: number; step: number } {
  if (score === "softmax") return { min: 0, max: 1, step: 0.01 };
  if (score === "sigmoid") return { min: 0, max: 1, step: 0.005 };
  if (score === "cosine") return COSINES;
  const { logitScale = 1, logitBias = 0 } = models.info ?? {};
  const logit = (cosine: number) => Math.round(logitScale * cosine + logitBias);
  return { min: logit(COSINES.min), max: logit(COSINES.max), step: 0.1 };
}

/** Which score is shown, what it means, and from where on a label counts. */
class ScoreChoice extends Part {
  constructor() {
    super();
    this.watch(judge, models);
  }

  protected override render() {
    const { score, threshold } = judge;
    const { min, max, step } = rangeOf(score);
    const own = models.info?.defaultScore === score ? " This model was trained with it." : "";
    const shown = threshold === undefined ? "none" : format(score, threshold);
    return html` <fieldset aria-describedby="score-help">
        <legend>Score</legend>
        <div class="choices">
          ${scores.map(
            (name) =>
              html`<label
                ><input
                  type="radio"
                  name="score"
                  value=${name}
                  .checked=${name === score}
                  @change=${() => (judge.score = name)}
                /><span>${name}</span></label
              >`,
          )}
        </div>
        <p id="score-help" class="small">${meanings[score]}${own}</p>
      </fieldset>
      <div class="threshold">
        <label for="threshold">Threshold: <output>${shown}</output></label>
        <input
          id="threshold"
          type="range"
          min=${min}
          max=${max}
          step=${step}
          .value=${String(threshold ?? min)}
          aria-valuetext=${shown}
          aria-describedby="above"
          @input=${(event: Event) => this.#set(Number((event.target as HTMLInputElement).value), min)}
        />
        <p id="above" class="small" role="status">${this.#above()}</p>
      </div>`;
  }

  /** Sets the threshold; at `min` there is none. */
  #set(threshold: number, min: number): void {
    judge.threshold = threshold > min ? threshold : undefined;
  }

  #above(): string {
    const { answer, threshold } = judge;
    if (threshold === undefined || !answer || answer.score !== judge.score)
      return "Labels below the threshold are dimmed.";
    const above = answer.rows.filter((row) => row.score >= threshold).length;
    return `${above === 0 ? "None" : above} of ${answer.rows.length} labels ${above < 2 ? "is" : "are"} above.`;
  }
}

customElements.define("ocelli-score-choice", ScoreChoice);
