import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "../parts/label-chips.ts";
import "../parts/label-editor.ts";
import "../parts/model-card.ts";
import "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import { format } from "../parts/scale.ts";
import "../parts/score-bars.ts";
import "../parts/use-in-app.ts";
import { count } from "../parts/words.ts";
import { address } from "../state/address.ts";
import { examples } from "../state/examples.ts";
import { templateSets } from "../state/label-list.ts";
import { models } from "../state/models.ts";
import { photoOffer } from "../state/photo-offer.ts";
import { missed } from "../state/samples.ts";
import { shown } from "../state/shown.ts";
import { Opening } from "./opening.ts";
import { codeFor, linkTo, wordsAsCode } from "./code.ts";
import { facts } from "./label/facts.ts";
import { judge, type Answer } from "./label/judge.ts";
import "./label/score-choice.ts";
import "./label/teach.ts";

/** So many labels are shown at first. */
const TOP = 5;

/** Which of the user's labels fits the picture best. */
class LabelTool extends Part {
  constructor() {
    super();
    this.watch(judge, models, photoOffer, shown);
    new Opening(this, judge, () => this.#take());
  }

  protected override render() {
    const { answer, failed, old, waiting, list } = judge;
    const { info, choice, isBuiltIn, model, loading } = models;
    if (!model && !loading && !models.failed) return html`<ocelli-model-card .task=${"label"}></ocelli-model-card>`;
    return html` <section class="answer ${old ? "old" : ""}" aria-label="Answer" aria-busy=${String(waiting)}>
        ${failed ? notice(failed, () => judge.again()) : nothing}
        ${isBuiltIn && this.#meetsPhoto() ? html`<ocelli-model-hint></ocelli-model-hint>` : nothing}
        <div class="top" aria-live="polite" aria-atomic="true" ?hidden=${this.#isOffered()}>
          ${answer && !this.#isOffered() ? this.#best(answer) : nothing}
        </div>
        <ocelli-score-bars
          .answer=${answer?.rows ?? []}
          .score=${answer?.score ?? judge.score}
          .threshold=${judge.threshold}
          .top=${TOP}
          .waiting=${failed ? [] : list.names}
        ></ocelli-score-bars>
        ${isBuiltIn ? html`<p class="aside">${this.#limits(answer)}</p>` : nothing}
      </section>
      <section aria-labelledby="labels-title">
        <h2 id="labels-title">Labels</h2>
        <ocelli-label-chips .list=${list}></ocelli-label-chips>
      </section>
      <div class="folds">
        <details class="fold question">
          <summary>Advanced</summary>
          <ocelli-label-editor .list=${list}></ocelli-label-editor>
          <ocelli-score-choice></ocelli-score-choice>
        </details>
        <details class="fold">
          <summary>Teach it by images</summary>
          <ocelli-teach></ocelli-teach>
        </details>
        ${
          info
            ? html`<details class="fold">
                <summary>Performance</summary>
                ${facts(choice?.name ?? "", info, judge.runs)}
              </details>`
            : nothing
        }
        ${choice ? html`<ocelli-use-in-app .code=${this.#code()} .link=${this.#link()}></ocelli-use-in-app>` : nothing}
      </div>`;
  }

  /** What the built-in model can't do, and its mistake where it makes it. */
  #limits(answer: Answer | undefined) {
    const is = shown.picture?.sample === missed && answer !== undefined && answer.rows[0]?.label !== missed;
    return is
      ? html`<span class="wrong">This is a ${missed}: the starter model gets it wrong.</span>`
      : html`The starter model is tiny (9 MB) and knows drawings, emoji and clip art. For photos,
          <a href="#/models">get a photo model</a>. Try the cat: it gets that one wrong.`;
  }

  /** Whether a model for photos stands in place of an answer that would be wrong. */
  #isOffered(): boolean {
    return photoOffer.stands && shown.picture?.photo === true;
  }

  /** Whether the picture looks like a photo, or is one of the user's that no label fits. */
  #meetsPhoto(): boolean {
    const { answer, old } = judge;
    const { picture } = shown;
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

  /** What the address asks: labels, and their prompt. */
  #take(): void {
    const labels = address.params.get("labels");
    if (address.part !== "label" || labels === null) return;
    judge.list.write({ labels, template: address.params.get("template") ?? undefined });
  }

  #link(): string {
    const { names, kept } = judge.list;
    return linkTo("label", { labels: names.join(","), ...(kept.template && { template: kept.template }) });
  }

  #code(): string {
    const { choice } = models;
    const { names, text } = judge.list;
    const set = text.template in templateSets;
    const options = set
      ? `{ templates: ${JSON.stringify(templateSets[text.template])} }`
      : `{ template: ${JSON.stringify(text.template)} }`;
    return choice
      ? codeFor("Ocelli", "ocelli", choice, [
          `const labels = ${wordsAsCode(names)};`,
          `const [best] = await model.classify(image, labels, ${options});`,
          "console.log(best.label, best.score);",
        ])
      : "";
  }
}

/** A label in its prompt as people write it: "an octopus". The model gets the prompt as it is. */
function inPrompt(template: string, label: string): string {
  return (/^[aeiou]/i.test(label) ? template.replace(/\ba \{\}/g, "an {}") : template).replaceAll("{}", () => label);
}

customElements.define("ocelli-label-tool", LabelTool);
