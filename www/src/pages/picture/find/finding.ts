import type { Detection, Detector, DetectorScene } from "ocelli/detect";
import { detectors } from "../../../state/models.ts";
import { remembered } from "../../../state/store.ts";
import { Looking } from "../looking.ts";

/** Of boxes that overlap by more than this, the best one is kept. */
const OVERLAP = 0.5;
/** Boxes with a lower score are none, whatever the slider says. */
export const LEAST = 0.05;
const MOST_BOXES = 200;

const from = remembered("find.from", 0.2);

/** Boxes of what the words name. */
class Finding extends Looking<DetectorScene, Detection[], Detector> {
  #lit: Detection | undefined;

  protected override ask(scene: DetectorScene, words: readonly string[], signal: AbortSignal): Promise<Detection[]> {
    return scene.detect(words, { threshold: LEAST, nms: OVERLAP, topK: MOST_BOXES, signal });
  }

  /** The score from which on boxes are shown. */
  get from(): number {
    return from.get();
  }

  set from(score: number) {
    from.set(score);
    this.changed();
  }

  /** The boxes that are shown, best first. */
  get boxes(): readonly Detection[] {
    // OWLv2 also finds things in what its square is padded with: nothing of them is left within the picture.
    return (this.found ?? []).filter(({ score, box }) => score >= this.from && box.width >= 1 && box.height >= 1);
  }

  /** The box that is pointed at, in the list or in the picture. */
  get lit(): Detection | undefined {
    return this.#lit;
  }

  set lit(box: Detection | undefined) {
    this.#lit = box;
    this.changed();
  }
}

export const finding = new Finding(detectors, "find.words", "dog, guitar, pizza");
