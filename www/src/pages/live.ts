import type { Classification } from "ocelli";
import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { boxesOver, countsOf, fromSlider, shownOf } from "../parts/boxes.ts";
import "../parts/label-chips.ts";
import "../parts/label-editor.ts";
import "../parts/model-card.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import { format, usual, type Shown } from "../parts/scale.ts";
import "../parts/score-bars.ts";
import { toolSwitch } from "../parts/tool-switch.ts";
import { wordsField } from "../parts/words-field.ts";
import { address } from "../state/address.ts";
import { LabelList } from "../state/label-list.ts";
import { detectors, models } from "../state/models.ts";
import { showFrom } from "../state/show-from.ts";
import { switching } from "../state/switching.ts";
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
/** So many labels are shown at first. */
const TOP = 8;
/** Milliseconds between two things that a screen reader hears. */
const SPOKEN = 2000;

class LivePage extends Part {
  #spoken = "";
  #spokenAt = 0;
  readonly #seen = () => watching.see(document.hidden ? "away" : "shown");

  constructor() {
    super();
    this.watch(address, detectors, models, list, showFrom, watching);
    address.addEventListener("change", () => this.#open());
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("visibilitychange", this.#seen);
    this.#seen();
    this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("visibilitychange", this.#seen);
    watching.see("left");
  }

  protected override render() {
    const { tool, failed } = watching;
    return html` <h1>Live</h1>
      <p>Your camera, labelled live. Nothing is uploaded.</p>
      <div class="live">
        <section aria-label="Camera picture">
          <div class="stage">${this.#stage()}</div>
          ${this.#controls()}
          <div role="alert">${failed ? this.#trouble(failed) : nothing}</div>
        </section>
        <div class="tool">
          ${toolSwitch("live", ["label", "find"], tool)} ${tool === "find" ? this.#find() : this.#label()}
        </div>
      </div>
      <p class="hidden" role="status">${this.#speak()}</p>`;
  }

  /** The video, and over it what is seen. */
  #stage() {
    const { video, visible, tool, opening } = watching;
    if (!visible)
      return html`<p class="small">${opening ? "Your browser may ask for permission." : "The camera is off."}</p>`;
    if (tool === "find") {
      const { videoWidth: width, videoHeight: height } = video;
      const ratio = width / height || 1;
      return html`${video}
        <div class="frame" .style=${`--ratio: ${ratio}`}>${boxesOver(this.#boxes(), { width, height })}</div>`;
    }
    const { best, sure, score } = this.#best();
    return html`${video}
    ${best ? html`<p class="best">${sure ? html`${best.label} <b>${format(score, best.score)}</b>` : "Not sure"}</p>` : nothing}`;
  }

  #label() {
    const { score } = this.#best();
    return html`${knowledge()}
      ${models.isBuiltIn ? html`<ocelli-model-hint .says=${"Your camera shows the real world."}></ocelli-model-hint>` : nothing}
      <section aria-label="Answer">
        <ocelli-score-bars
          .answer=${this.#answer()}
          .score=${score}
          .top=${TOP}
          .waiting=${list.names}
        ></ocelli-score-bars>
      </section>
      <section aria-labelledby="labels-title">
        <h2 id="labels-title">Labels</h2>
        <ocelli-label-chips .list=${list}></ocelli-label-chips>
      </section>
      <div class="folds">
        <details class="fold">
          <summary>Advanced</summary>
          <ocelli-label-editor .list=${list}></ocelli-label-editor>
          ${this.#smoothing()} ${this.#facts()}
        </details>
      </div>`;
  }

  #find() {
    const { found } = watching;
    return html`${wordsField("find", watching)}
    ${
      detectors.model
        ? html`<section class="answer" aria-label="Answer">
              <p class="sum ${!found && watching.visible ? "looking" : ""}">
                ${found ? countsOf(this.#boxes(), found.words) || "Nothing found." : watching.visible ? "Looking…" : ""}
              </p>
              ${fromSlider()}
            </section>
            <div class="folds">
              <details class="fold">
                <summary>Advanced</summary>
                ${this.#facts()}
              </details>
            </div>`
        : html`<ocelli-model-card .task=${"find"}></ocelli-model-card>`
    }`;
  }

  /** The boxes that are shown; mirrored as the video is. */
  #boxes() {
    const { video, found } = watching;
    const mirrored = video.classList.contains("mirrored");
    return shownOf(found?.boxes ?? []).map((one) =>
      mirrored ? { ...one, box: { ...one.box, x: video.videoWidth - one.box.x - one.box.width } } : one,
    );
  }

  #best() {
    const answer = this.#answer();
    const score: Shown = list.model?.info.defaultScore ?? "softmax";
    const [best] = answer;
    const sure = best !== undefined && best.score >= usual(score === "sigmoid" ? score : "softmax", answer.length);
    return { best, sure, score };
  }

  /** Takes the tool of the address, and its model, if that is here. */
  #open(): void {
    if (!this.isConnected || address.page !== "live") return;
    watching.tool = address.part === "find" ? "find" : "label";
    void switching.resume(watching.tool);
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
    </dl>`;
  }

  #smoothing() {
    return html`<fieldset class="calm">
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

  /** What a screen reader says when another label becomes the best, or other things are found, at most once in {@link SPOKEN}. */
  #speak(): string {
    const now = performance.now();
    const { tool, found, wanted } = watching;
    const said = tool === "find" ? countsOf(this.#boxes(), found?.words ?? []) : this.#best().best?.label;
    if (wanted === "off") this.#spoken = "";
    else if (said && said !== this.#spoken && now > this.#spokenAt + SPOKEN)
      [this.#spoken, this.#spokenAt] = [said, now];
    return this.#spoken;
  }
}

customElements.define("ocelli-live", LivePage);
