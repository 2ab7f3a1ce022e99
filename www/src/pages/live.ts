import type { Classification } from "ocelli";
import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "../parts/label-editor.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import { format, usual, type Shown } from "../parts/scale.ts";
import "../parts/score-bars.ts";
import { LabelList } from "../state/label-list.ts";
import { models } from "../state/models.ts";
import { screens, SourceError } from "./live/source.ts";
import { watching } from "./live/watching.ts";

const list = new LabelList("live", {
  labels:
    "person, hand, dog, cat, cup, book, phone, keyboard, plant, banana, bicycle, guitar, umbrella, key, pizza, rocket",
});

/** Choices for the smoothing: a name, and seconds. */
const calm: [name: string, seconds: number][] = [
  ["Off", 0],
  ["A little", 0.5],
  ["A lot", 2],
];
/** Milliseconds between two things that a screen reader hears. */
const SPOKEN = 2000;

class LivePage extends Part {
  #spoken = "";
  #spokenAt = 0;
  readonly #seen = () => watching.see(document.hidden ? "away" : "shown");

  constructor() {
    super();
    this.watch(models, list, watching);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("visibilitychange", this.#seen);
    this.#seen();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("visibilitychange", this.#seen);
    watching.see("left");
  }

  protected override render() {
    const { video, visible, failed } = watching;
    const answer = this.#answer();
    const score: Shown = list.model?.info.defaultScore ?? "softmax";
    const best = answer[0];
    const sure = best && best.score >= usual(score === "sigmoid" ? score : "softmax", answer.length);
    return html` <h1>Live</h1>
      <p>Your camera, labelled live. Nothing is uploaded.</p>
      ${knowledge()}
      <div class="live">
        <section aria-label="Camera picture">
          <div class="stage">
            ${visible ? video : html`<p class="small">${watching.opening ? "Your browser may ask for permission." : "The camera is off."}</p>`}
            ${visible && best ? html`<p class="best">${sure ? html`${best.label} <b>${format(score, best.score)}</b>` : "Not sure"}</p>` : nothing}
          </div>
          ${this.#controls()}
          <div role="alert">${failed ? this.#trouble(failed) : nothing}</div>
          ${models.isBuiltIn ? html`<ocelli-model-hint .says=${"Your camera shows the real world."}></ocelli-model-hint>` : nothing}
        </section>
        <section aria-label="Answer">
          <ocelli-score-bars .answer=${answer} .score=${score} .waiting=${list.names}></ocelli-score-bars>
          ${this.#facts()}
        </section>
      </div>
      <section class="sheet" aria-label="Labels"><ocelli-label-editor .list=${list}></ocelli-label-editor></section>
      <p class="hidden" role="status">${this.#speak(best)}</p>`;
  }

  /** Labels of another model than the one that saw the frame say nothing of it. */
  #answer(): Classification[] {
    const { embedding, model } = watching;
    return embedding && list.set && model === list.model ? list.set.score(embedding) : [];
  }

  #controls() {
    const { wanted, kind, cameras, camera } = watching;
    const on = wanted !== "off";
    return html` <div class="row">
      ${wanted === "off" ? html`<button type="button" class="primary" @click=${() => watching.start("camera")}>Start the camera</button>` : nothing}
      ${wanted === "on" ? html`<button type="button" class="primary" @click=${() => watching.pause()}>Pause</button>` : nothing}
      ${wanted === "paused" ? html`<button type="button" class="primary" @click=${() => watching.resume()}>Continue</button>` : nothing}
      ${on ? html`<button type="button" @click=${() => watching.stop()}>Stop</button>` : nothing}
      ${screens && !on ? html`<button type="button" @click=${() => watching.start("screen")}>Watch a screen</button>` : nothing}
      ${
        cameras.length > 1 && kind === "camera"
          ? html`<select
              aria-label="Camera"
              class="grow"
              .value=${camera}
              @change=${(event: Event) => watching.choose((event.target as HTMLSelectElement).value)}
            >
              ${cameras.map(({ deviceId, label }, i) => html`<option value=${deviceId} ?selected=${deviceId === camera}>${label || `Camera ${i + 1}`}</option>`)}
            </select>`
          : nothing
      }
    </div>`;
  }

  #facts() {
    const { milliseconds, rate } = watching.meter;
    return html` <dl class="facts">
        <div>
          <dt>Time per frame</dt>
          <dd data-fact="milliseconds">
            ${milliseconds > 0 ? `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms` : "–"}
          </dd>
        </div>
        <div>
          <dt>Frames per second</dt>
          <dd data-fact="rate">${rate > 0 ? rate.toFixed(rate < 10 ? 1 : 0) : "–"}</dd>
        </div>
        <div>
          <dt>Frames so far</dt>
          <dd data-fact="frames">${watching.frames}</dd>
        </div>
      </dl>
      <fieldset class="calm">
        <legend>Smoothing</legend>
        <div class="choices">
          ${calm.map(
            ([name, seconds]) =>
              html`<label
                ><input
                  type="radio"
                  name="live-calm"
                  .checked=${watching.seconds === seconds}
                  @change=${() => (watching.seconds = seconds)}
                /><span>${name}</span></label
              >`,
          )}
        </div>
      </fieldset>`;
  }

  #trouble(error: unknown) {
    if (!(error instanceof SourceError)) return notice(error, () => watching.resume());
    return html`<div class="notice">
      <h3>${error.title}</h3>
      <p>${error.message}</p>
    </div>`;
  }

  /** The sentence for a screen reader when another label becomes the best, at most once in {@link SPOKEN}. */
  #speak(best: Classification | undefined): string {
    const now = performance.now();
    if (watching.wanted === "off") this.#spoken = "";
    else if (best && best.label !== this.#spoken && now > this.#spokenAt + SPOKEN)
      [this.#spoken, this.#spokenAt] = [best.label, now];
    return this.#spoken;
  }
}

customElements.define("ocelli-live", LivePage);
