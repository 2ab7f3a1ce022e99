import type { Mask } from "ocelli/segment";
import { labelColor } from "ocelli/draw";
import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "../parts/copy-button.ts";
import { download } from "../parts/dom.ts";
import "../parts/model-card.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import { format } from "../parts/scale.ts";
import "../parts/use-in-app.ts";
import { wordsField } from "../parts/words-field.ts";
import { address } from "../state/address.ts";
import { segmenters } from "../state/models.ts";
import { pngOf, type Picture } from "../state/picture.ts";
import { shown } from "../state/shown.ts";
import { Opening } from "./opening.ts";
import { codeFor, linkTo, wordsAsCode } from "./code.ts";
import { cutting } from "./cut/cutting.ts";
import { drawEffect, effects, type Effect } from "./cut/effects.ts";

/** Which pixels belong to what the user names, and pictures made of them. */
class CutTool extends Part {
  constructor() {
    super();
    this.watch(cutting, segmenters, shown);
    new Opening(this, cutting, () => this.#take());
  }

  protected override render() {
    const { failed, waiting, found, masks, settings } = cutting;
    if (!segmenters.model)
      return html`${wordsField("cut", cutting)}<ocelli-model-card .task=${"cut"}></ocelli-model-card>`;
    return html`${wordsField("cut", cutting)} ${knowledge("cut")}
      <section class="answer ${waiting ? "old" : ""}" aria-label="Answer" aria-busy=${String(waiting)}>
        ${failed ? notice(failed, () => cutting.again()) : nothing}
        <p class="hidden" role="status">${this.#sum()}</p>
        <ul class="found" aria-label="Layers">
          ${found ? found.map((mask) => this.#row(mask)) : cutting.words.map((word, at) => this.#coming(word, at))}
        </ul>
        <fieldset>
          <legend>Show as</legend>
          <div class="choices">
            ${(Object.keys(effects) as Effect[]).map(
              (effect) =>
                html`<label
                  ><input
                    type="radio"
                    name="effect"
                    .checked=${effect === settings.effect}
                    @change=${() => cutting.set({ effect })}
                  /><span>${effects[effect]}</span></label
                >`,
            )}
          </div>
        </fieldset>
        <div class="row how">
          <label class="check"
            ><input
              type="checkbox"
              .checked=${settings.inverted}
              ?disabled=${settings.effect === "layers"}
              @change=${(event: Event) => cutting.set({ inverted: (event.target as HTMLInputElement).checked })}
            />Everything else instead</label
          >
          ${
            settings.effect === "background"
              ? html`<label class="check"
                  ><input
                    type="color"
                    .value=${settings.color}
                    @input=${(event: Event) => cutting.set({ color: (event.target as HTMLInputElement).value })}
                  />Background colour</label
                >`
              : nothing
          }
        </div>
        <div class="row">
          <button type="button" class="primary" ?disabled=${masks.length === 0} @click=${() => void this.#save()}>
            Save PNG
          </button>
          <ocelli-copy .words=${"Copy image"} .content=${() => made()}></ocelli-copy>
        </div>
      </section>
      <div class="folds">
        <details class="fold">
          <summary>Advanced</summary>
          <div class="slider">
            <label for="cut-threshold">Threshold: <output>${format("sigmoid", settings.threshold)}</output></label>
            <input
              id="cut-threshold"
              type="range"
              min="0.05"
              max="0.95"
              step="0.05"
              .value=${String(settings.threshold)}
              @change=${(event: Event) => cutting.set({ threshold: Number((event.target as HTMLInputElement).value) })}
            />
            <p class="small">Higher takes only what is certain; lower takes more around it.</p>
          </div>
        </details>
        <ocelli-use-in-app
          .code=${this.#code()}
          .link=${linkTo("cut", { words: cutting.words.join(",") })}
        ></ocelli-use-in-app>
      </div>`;
  }

  #sum(): string {
    const { found, waiting } = cutting;
    if (!found) return waiting ? "Looking…" : "";
    const seen = found.filter(({ area }) => area > 0);
    return seen.length > 0 ? seen.map((mask) => `${mask.label} ${shareOf(mask)}`).join(" · ") : "Nothing found.";
  }

  /** The place of a layer that is not here yet. */
  #coming(word: string, at: number) {
    return html`<li .style=${`--color: ${labelColor(at)}`}><i aria-hidden="true"></i><span>${word}</span><b>…</b></li>`;
  }

  #row(mask: Mask) {
    const { label, index } = mask;
    const visible = !cutting.isHidden(mask);
    return html`<li data-label=${label} .style=${`--color: ${labelColor(index)}`}>
      <i aria-hidden="true"></i><span>${label}</span><b>${shareOf(mask)}</b>
      <button
        type="button"
        class="quiet eye-toggle"
        aria-label="Show ${label}"
        aria-pressed=${String(visible)}
        ?disabled=${mask.area === 0}
        @click=${() => cutting.toggle(mask)}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <circle cx="12" cy="12" r="9" />
          <circle cx="12" cy="12" r="4" />
          <path d="M4 20L20 4" ?hidden=${visible} />
        </svg>
      </button>
    </li>`;
  }

  #take(): void {
    const words = address.params.get("words");
    if (address.part === "cut" && words !== null) cutting.write(words);
  }

  async #save(): Promise<void> {
    download(await made(), `${cutting.settings.effect}.png`);
  }

  #code(): string {
    const { choice } = segmenters;
    return choice
      ? codeFor("Segmenter", "ocelli/segment", choice, [
          `const words = ${wordsAsCode(cutting.words)};`,
          `const masks = await model.segment(image, words, { threshold: ${cutting.settings.threshold} });`,
          'for (const mask of masks) drawMask(canvas, mask); // import { drawMask } from "ocelli/draw"',
        ])
      : "";
  }
}

/** Longest side of the picture on the page; what is saved has all of its pixels. */
const PREVIEW = 1600;

/** The picture with the effect over the picture itself. */
class CutLayer extends Part {
  #preview: { picture: Picture; bitmap: Promise<ImageBitmap> } | undefined;
  #turn = 0;

  constructor() {
    super();
    this.watch(cutting, shown);
  }

  protected override render() {
    const { found, settings } = cutting;
    return html`<canvas class=${found ? `effect ${settings.effect}` : "none"} aria-hidden="true"></canvas>`;
  }

  protected override updated(): void {
    const { picture } = shown;
    if (picture && cutting.found) void this.#draw(picture, ++this.#turn);
  }

  async #draw(picture: Picture, turn: number): Promise<void> {
    if (this.#preview?.picture !== picture) this.#preview = { picture, bitmap: bitmapOf(picture, PREVIEW) };
    const bitmap = await this.#preview.bitmap;
    const canvas = this.querySelector("canvas");
    if (turn === this.#turn && canvas) drawEffect(canvas, bitmap, cutting.masks, cutting.settings);
  }
}

/** What the page shows, with all pixels of the picture. */
async function made(): Promise<Blob> {
  const canvas = document.createElement("canvas");
  drawEffect(canvas, await bitmapOf(shown.picture as Picture), cutting.masks, cutting.settings);
  return pngOf(canvas);
}

/** A picture's pixels, with at most `most` on its longer side. */
async function bitmapOf({ blob, width, height }: Picture, most = Infinity): Promise<ImageBitmap> {
  const scale = most / Math.max(width, height);
  if (scale >= 1) return createImageBitmap(blob);
  const [resizeWidth, resizeHeight] = [Math.round(width * scale), Math.round(height * scale)];
  return createImageBitmap(blob, { resizeWidth, resizeHeight, resizeQuality: "high" });
}

/** The part of the picture that a mask covers: "12%". */
function shareOf({ area, width, height }: Mask): string {
  return format("sigmoid", area / (width * height));
}

customElements.define("ocelli-cut-tool", CutTool);
customElements.define("ocelli-cut-layer", CutLayer);
