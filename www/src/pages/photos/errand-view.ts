import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { download } from "../../parts/dom.ts";
import "../../parts/model-card.ts";
import { knowledge } from "../../parts/model-hint.ts";
import "../../parts/thumbnail.ts";
import { count, duration, number } from "../../parts/words.ts";
import { nameOf } from "../../state/files.ts";
import { modelsOf } from "../../state/models.ts";
import type { Outcome } from "./errand.ts";
import { counted, counting, type Kind } from "./errands.ts";
import { filtering } from "./filtering.ts";
import { table } from "./results.ts";
import { selection } from "./selection-bar.ts";

/** Results that are drawn, the newest: the file has them all. */
const DRAWN = 100;

/** Work on many photos: its model, its start, how far it has come, and what came of it. */
class ErrandView extends Part {
  static override properties = { kind: { attribute: false } };
  declare kind: Kind<never>;
  #watched: unknown;

  protected override willUpdate(): void {
    if (this.#watched === this.kind) return;
    this.#watched = this.kind;
    this.watch(this.kind.errand, modelsOf[this.kind.task], selection, filtering);
  }

  protected override render() {
    const { task, errand } = this.kind;
    const { outcomes } = errand;
    return html`${
      modelsOf[task].model
        ? html`${knowledge(task)} ${this.#start()}`
        : html`<ocelli-model-card .task=${task} .photos=${true}></ocelli-model-card>`
    }
    ${errand.busy ? this.#progress() : nothing} ${outcomes.length > 0 ? this.#outcomes(outcomes) : nothing}`;
  }

  #start() {
    const { errand } = this.kind;
    if (errand.busy) return nothing;
    const paths = selection.size > 0 ? selection.paths : filtering.rows(filtering.candidates).map(({ path }) => path);
    const isCounting = (this.kind as unknown) === counting;
    return html`<form
        class="row"
        @submit=${(event: Event) => {
          event.preventDefault();
          void errand.start(paths);
        }}
      >
        ${
          isCounting
            ? html`<label class="grow"
                >Things to count
                <input
                  type="text"
                  autocomplete="off"
                  .value=${counted.text}
                  @input=${(event: Event) => (counted.text = (event.target as HTMLInputElement).value)}
              /></label>`
            : nothing
        }
        <button class="primary" ?disabled=${paths.length === 0}>
          ${this.kind.title}: ${count(paths.length, selection.size > 0 ? "selected photo" : "photo")}
        </button>
      </form>
      <p class="small">
        ${selection.size > 0 ? "" : "Select photos, or filter them by folder, tag or date, to work on fewer. "}Answers
        can be wrong.
      </p>`;
  }

  #progress() {
    const { errand } = this.kind;
    const { outcomes, total, left, paused } = errand;
    const time = left === undefined || paused ? "" : `, about ${duration(left)} left`;
    return html`<div class="row">
        <p class="grow" role="status">
          ${number(outcomes.length)} of ${number(total)} photos${paused ? ", paused" : time}
        </p>
        ${paused ? html`<button type="button" @click=${() => errand.resume()}>Resume</button>` : html`<button type="button" @click=${() => errand.pause()}>Pause</button>`}
        <button type="button" @click=${() => errand.cancel()}>Cancel</button>
      </div>
      <progress aria-label=${this.kind.title} max=${total} .value=${outcomes.length}></progress>`;
  }

  #outcomes(outcomes: readonly Outcome<never>[]) {
    const failed = outcomes.filter((one) => "error" in one).length;
    return html`<div class="row">
        <p class="grow">
          ${count(outcomes.length - failed, "photo")} done${failed > 0 ? `, ${number(failed)} failed` : ""}.
        </p>
        <button type="button" @click=${() => download(table(this.kind.rows(outcomes)), this.kind.file)}>
          Save as CSV
        </button>
      </div>
      <ul class="outcomes">
        ${outcomes
          .slice(-DRAWN)
          .reverse()
          .map(
            (one) =>
              html`<li data-path=${one.path}>
                <ocelli-thumbnail .path=${one.path} .alt=${""}></ocelli-thumbnail>
                <div>
                  <p class="small">${nameOf(one.path)}</p>
                  ${"error" in one ? html`<p class="wrong">${one.error}</p>` : html`<p>${this.kind.say(one.result)}</p>`}
                </div>
              </li>`,
          )}
      </ul>`;
  }
}

customElements.define("ocelli-errand", ErrandView);
