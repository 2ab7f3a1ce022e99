import type { ModelInfo } from "ocelli";
import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { familyOf, millions } from "../../parts/words.ts";
import { notice } from "../../parts/notice.ts";
import { models } from "../../state/models.ts";
import { measure, SIDE, type Figure } from "./benchmark.ts";
import { deviceOf } from "./facts.ts";

/** How fast the model in use is on this device, with a report to pass on. */
class BenchmarkView extends Part {
  #stop: AbortController | undefined;
  #done = 0;
  #figures: readonly Figure[] | undefined;
  #report = "";
  #copied = "";
  #failed: unknown;
  #measured = models.model;

  constructor() {
    super();
    this.watch(models);
    // Another model is another question.
    models.addEventListener("change", () => models.model !== this.#measured && this.#stop?.abort());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop?.abort();
  }

  protected override render() {
    const current = this.#measured === models.model;
    return html` <h3>How fast is it here?</h3>
      <p class="small">A short benchmark: medians of a few runs, from a ${SIDE} px JPEG or a text to the embedding.</p>
      ${
        this.#stop
          ? html`<div class="measuring">
              <label for="benchmark-progress">Measuring</label>
              <progress id="benchmark-progress" max="1" .value=${this.#done}></progress>
              <button type="button" @click=${() => this.#stop?.abort()}>Cancel</button>
            </div>`
          : html`<button type="button" ?disabled=${!models.model} @click=${() => void this.#run()}>
              Run the benchmark
            </button>`
      }
      <div role="status">${this.#figures && current ? this.#table(this.#figures) : nothing}</div>
      ${this.#failed && current ? notice(this.#failed, () => void this.#run()) : nothing}`;
  }

  #table(figures: readonly Figure[]) {
    return html` <table class="figures">
        <thead class="hidden">
          <tr>
            <th scope="col">What</th>
            <th scope="col">Time each</th>
          </tr>
        </thead>
        <tbody>
          ${figures.map(
            ({ name, ms }) =>
              html`<tr>
                <th scope="row">${name}</th>
                <td data-ms=${ms}>${time(ms)} each</td>
              </tr>`,
          )}
        </tbody>
      </table>
      ${models.info ? html`<p class="small">On the ${deviceOf(models.info)}, with weights in ${models.info.format}.</p>` : nothing}
      <button type="button" @click=${() => void this.#copy()}>Copy a report</button>
      ${this.#copied ? html`<span class="small">${this.#copied}</span>` : nothing}
      ${this.#copied === byHand ? html`<textarea readonly rows="8" aria-label="The report" .value=${this.#report}></textarea>` : nothing}`;
  }

  async #run(): Promise<void> {
    const { model, choice } = models;
    if (!model || !choice || this.#stop) return;
    const stop = (this.#stop = new AbortController());
    this.#measured = model;
    this.#figures = this.#failed = undefined;
    this.#copied = "";
    this.#done = 0;
    this.requestUpdate();
    try {
      const progress = (done: number) => {
        this.#done = done;
        this.requestUpdate();
      };
      this.#figures = await measure(model, progress, stop.signal);
      this.#report = reportOf(choice.name, model.info, this.#figures);
    } catch (error) {
      if (!stop.signal.aborted) this.#failed = error;
    }
    this.#stop = undefined;
    this.requestUpdate();
  }

  async #copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.#report);
      this.#copied = "Copied.";
    } catch {
      this.#copied = byHand;
    }
    this.requestUpdate();
  }
}

const byHand = "The browser won't let this page copy. Here it is:";

function time(ms: number): string {
  return `${ms < 9.95 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en")} ms`;
}

/** The result as text, for an issue or a colleague. */
function reportOf(name: string, info: ModelInfo, figures: readonly Figure[]): string {
  const { tier, format, imageSize, parameters, note } = info;
  return [
    `Ocelli, benchmark of ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `Model: ${name} (${familyOf(info)}, ${format}, ${imageSize} px, ${millions(parameters)} parameters)`,
    `On: ${deviceOf(info)}, kernels ${tier}${note ? ` (${note})` : ""}`,
    `Browser: ${navigator.userAgent}`,
    ...figures.map(({ name, ms, runs }) => `${name}: ${time(ms)} each (median of ${runs})`),
    `From a ${SIDE} px JPEG or a text to the embedding, decoding included.`,
  ].join("\n");
}

customElements.define("ocelli-benchmark", BenchmarkView);
