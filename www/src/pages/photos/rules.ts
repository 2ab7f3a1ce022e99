import { html } from "lit";
import { Part } from "../../element.ts";
import "../../parts/label-chips.ts";
import "../../parts/label-editor.ts";
import { format } from "../../parts/scale.ts";
import { models } from "../../state/models.ts";
import { searching } from "./searching.ts";
import { tagger } from "./tagger.ts";
import { wrongSentence } from "./query.ts";

/** Labels, and the rule by which they become tags. What only experts change is folded. */
class Rules extends Part {
  constructor() {
    super();
    this.watch(models, tagger, tagger.labels, searching);
  }

  protected override render() {
    return html`<section class="sheet rules" aria-label="Labels and rules">
      <h2>Labels <span class="small">${tagger.labels.names.length}</span></h2>
      <ocelli-label-chips .list=${tagger.labels}></ocelli-label-chips>
      <details>
        <summary>Advanced</summary>
        <ocelli-label-editor .list=${tagger.labels}></ocelli-label-editor>
        <div class="how">${this.#rule()}${this.#prompt()}</div>
      </details>
    </section>`;
  }

  #rule() {
    const { several, threshold } = tagger.rule;
    const choice = (is: boolean, words: string) =>
      html`<label>
        <input
          type="radio"
          name="several"
          .checked=${several === is}
          @change=${() => tagger.write({ several: is })}
        /><span>${words}</span></label
      >`;
    return html`<fieldset>
        <legend>Tags per photo</legend>
        <div class="choices">${choice(true, "All matches")}${choice(false, "Best match")}</div>
      </fieldset>
      <div class="slider">
        <label for="threshold">Minimum score: <output>${format("sigmoid", threshold)}</output></label>
        <input
          id="threshold"
          type="range"
          ?disabled=${!models.info}
          min="0"
          max="1"
          step="0.01"
          .value=${String(threshold)}
          aria-describedby="threshold-help"
          @input=${(event: InputEvent) => tagger.write({ threshold: Number((event.target as HTMLInputElement).value) })}
        />
        <p id="threshold-help" class="small">${meaning(several)}</p>
      </div>`;
  }

  #prompt() {
    const { sentence } = searching;
    const wrong = wrongSentence(sentence);
    return html`<div>
      <label for="search-prompt">Search prompt</label>
      <input
        id="search-prompt"
        type="text"
        autocomplete="off"
        spellcheck="false"
        placeholder="none: your words as typed"
        aria-describedby="search-prompt-help"
        .value=${sentence}
        aria-invalid=${wrong ? "true" : "false"}
        @input=${(event: InputEvent) => (searching.sentence = (event.target as HTMLInputElement).value)}
      />
      <p id="search-prompt-help" class=${wrong ? "wrong" : "small"}>
        ${wrong ?? "{} is replaced by your words. Some models find more with “a photo of a {}”."}
      </p>
    </div>`;
  }
}

customElements.define("ocelli-rules", Rules);

function meaning(several: boolean): string {
  const sigmoid = models.info?.defaultScore === "sigmoid";
  if (several)
    return sigmoid
      ? "Each label is judged on its own. This model scores low: 10% can already be a match."
      : "Each label is judged on its own: at 50% it fits as well as anything.";
  return sigmoid
    ? "The best label's own score. This model scores low: 10% can already be a match."
    : "The labels compete for 100%. A low best score means that none fits well.";
}
