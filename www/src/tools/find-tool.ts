import { drawBoxes, labelColor } from "ocelli/draw";
import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { boxesOver, countsOf, fromSlider, scoreOf } from "../parts/boxes.ts";
import "../parts/copy-button.ts";
import { download } from "../parts/dom.ts";
import "../parts/model-card.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import "../parts/use-in-app.ts";
import { wordsField } from "../parts/words-field.ts";
import { address } from "../state/address.ts";
import type { Framed } from "../state/finder.ts";
import { detectors } from "../state/models.ts";
import { pngOf } from "../state/picture.ts";
import { showFrom } from "../state/show-from.ts";
import { shown } from "../state/shown.ts";
import { Opening } from "./opening.ts";
import { codeFor, linkTo, wordsAsCode } from "./code.ts";
import { finding } from "./find/finding.ts";

/** Where things are that the user names. */
class FindTool extends Part {
  constructor() {
    super();
    this.watch(finding, detectors, showFrom, shown);
    new Opening(this, finding, () => this.#take());
  }

  protected override render() {
    const { failed, waiting, found, boxes, asked } = finding;
    if (!detectors.model)
      return html`${wordsField("find", finding)}<ocelli-model-card .task=${"find"}></ocelli-model-card>`;
    return html`${wordsField("find", finding)} ${knowledge("find")}
      <section class="answer ${waiting ? "old" : ""}" aria-label="Answer" aria-busy=${String(waiting)}>
        ${failed ? notice(failed, () => finding.again()) : nothing} ${finding.scores ? fromSlider() : nothing}
        <p class="sum ${waiting && !found ? "looking" : ""}" role="status">
          ${found ? countsOf(boxes, asked) || "Nothing found." : waiting ? "Looking…" : ""}
        </p>
        ${found && boxes.length === 0 ? html`<p class="small">${finding.scores ? "Show lower scores, or try" : "Try"} other words.</p>` : nothing}
        <div class="row">
          <button type="button" class="primary" ?disabled=${boxes.length === 0} @click=${() => void this.#save()}>
            Save image
          </button>
          <ocelli-copy .words=${"Copy JSON"} .content=${() => this.#json()}></ocelli-copy>
        </div>
        <ol class="found" aria-label="Found, best first">
          ${boxes.map((box) => this.#row(box))}
        </ol>
      </section>
      <div class="folds">
        <ocelli-use-in-app
          .code=${this.#code()}
          .link=${linkTo("find", { words: finding.words.join(",") })}
        ></ocelli-use-in-app>
      </div>`;
  }

  #row(one: Framed) {
    const { label, index, score } = one;
    const light = (is: boolean) => () => (finding.lit = is ? one : undefined);
    return html`<li
      class=${finding.lit === one ? "lit" : ""}
      data-label=${label}
      data-score=${score ?? nothing}
      .style=${`--color: ${labelColor(index)}`}
      @pointerenter=${light(true)}
      @pointerleave=${light(false)}
      @focusin=${light(true)}
      @focusout=${light(false)}
    >
      <i aria-hidden="true"></i><span>${label}</span><b>${scoreOf(score)}</b>
      <button
        type="button"
        class="quiet"
        aria-label=${["Save " + label, scoreOf(score)].filter(Boolean).join(", ")}
        @click=${() => void this.#crop(one)}
      >
        Save
      </button>
    </li>`;
  }

  #take(): void {
    const words = address.params.get("words");
    if (address.part === "find" && words !== null) finding.write(words);
  }

  /** The boxes that are shown, in pixels of the upright image. */
  #json(): string {
    const boxes = finding.boxes.map(({ label, score, box }) => ({ label, score, box }));
    const { width = 0, height = 0 } = shown.picture ?? {};
    return JSON.stringify({ width, height, boxes }, null, 2);
  }

  async #save(): Promise<void> {
    const canvas = document.createElement("canvas");
    const text = ({ label, score }: { label?: string; score?: number }) => `${label} ${scoreOf(score)}`;
    drawBoxes(canvas, await this.#bitmap(), finding.boxes, { text });
    download(await pngOf(canvas), "boxes.png");
  }

  async #crop({ label, box }: Framed): Promise<void> {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(box.width));
    canvas.height = Math.max(1, Math.round(box.height));
    canvas.getContext("2d")?.drawImage(await this.#bitmap(), -Math.round(box.x), -Math.round(box.y));
    download(await pngOf(canvas), `${label.replace(/[^\p{L}\p{N}]+/gu, "-")}.png`);
  }

  #bitmap(): Promise<ImageBitmap> {
    return createImageBitmap(shown.picture?.blob as Blob);
  }

  #code(): string {
    const { choice } = detectors;
    if (!choice) return "";
    const words = `const words = ${wordsAsCode(finding.words)};`;
    return finding.scores
      ? codeFor("Detector", "ocelli/detect", choice, [
          words,
          `const found = await model.detect(image, words, { threshold: ${showFrom.score}, nms: 0.5 });`,
          "for (const { label, score, box } of found) console.log(label, score, box);",
        ])
      : codeFor("Vlm", "ocelli/vlm", choice, [
          words,
          "for (const text of words) {",
          `  const { regions } = await model.task(image, "open-vocabulary-detection", { text });`,
          "  for (const { box } of regions) console.log(text, box);",
          "}",
        ]);
  }
}

/** The boxes over the picture. */
class FoundLayer extends Part {
  constructor() {
    super();
    this.watch(finding, showFrom, shown);
  }

  protected override render() {
    const { picture } = shown;
    const point = (box: Framed | undefined) => (finding.lit = box);
    return picture ? boxesOver(finding.boxes, picture, { lit: finding.lit, point }) : nothing;
  }
}

customElements.define("ocelli-find-tool", FindTool);
customElements.define("ocelli-found-layer", FoundLayer);
