import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "../parts/label-editor.ts";
import { notice } from "../parts/notice.ts";
import { format } from "../parts/scale.ts";
import "../parts/score-bars.ts";
import { templateSets } from "../state/label-list.ts";
import { models } from "../state/models.ts";
import { facts } from "./classify/facts.ts";
import { judge, type Answer } from "./classify/judge.ts";
import "./classify/picture-area.ts";
import "./classify/score-choice.ts";
import "./classify/teach.ts";

/** One picture, and which of the user's labels fits it best. */
class ClassifyPage extends Part {
  constructor() {
    super();
    this.watch(judge, models);
  }

  protected override render() {
    const { answer, failed, old, waiting, list } = judge;
    const { info, choice, isBuiltIn } = models;
    return html` <h1>Classify</h1>
      <p>What does this picture show? Asked of your own device; nothing leaves it.</p>
      <div class="bench">
        <section class="picture" aria-label="Picture"><ocelli-picture-area></ocelli-picture-area></section>
        <section class="answer ${old ? "old" : ""}" aria-label="Answer" aria-busy=${String(waiting)}>
          ${failed ? notice(failed, () => judge.again()) : nothing}
          <div class="top" aria-live="polite" aria-atomic="true">${answer ? this.#best(answer) : nothing}</div>
          <ocelli-score-bars
            .answer=${answer?.rows ?? []}
            .score=${answer?.score ?? judge.score}
            .threshold=${judge.threshold}
            .waiting=${failed ? [] : list.names}
          ></ocelli-score-bars>
          ${
            isBuiltIn
              ? html`<p class="aside">
                  The built-in model is tiny and errs now and then. It knows drawings, emoji and clip art,
                  <strong>not photographs</strong>; for those, <a href="#/models">load another model</a>. The samples
                  are in a style that it was never trained on, and the last of them it gets wrong.
                </p>`
              : nothing
          }
        </section>
        <section class="sheet question" aria-labelledby="question-title">
          <h2 id="question-title">The question</h2>
          <ocelli-label-editor .list=${list}></ocelli-label-editor>
          <ocelli-score-choice></ocelli-score-choice>
        </section>
      </div>
      <section class="sheet" aria-labelledby="teach-title"><ocelli-teach></ocelli-teach></section>
      ${
        info
          ? html`<section class="run" aria-labelledby="facts-title">
              <h2 id="facts-title">This run</h2>
              ${facts(choice?.name ?? "", info, judge.runs)}
            </section>`
          : nothing
      }`;
  }

  /** A sentence about the best label. */
  #best({ rows, score, template }: Answer) {
    const [best] = rows;
    if (!best) return nothing;
    const sentence = template in templateSets ? "" : `“${template.replaceAll("{}", best.label)}”: `;
    return html` <p class="small">Looks most like</p>
      <p class="best">${best.label}</p>
      <p class="small">${sentence}${format(score, best.score)}, the best of ${rows.length} labels</p>`;
  }
}

customElements.define("ocelli-classify", ClassifyPage);
