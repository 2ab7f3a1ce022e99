import type { Detection, Detector, DetectorScene } from "ocelli/detect";
import { shownOf } from "../../../parts/boxes.ts";
import { detectors } from "../../../state/models.ts";
import { LEAST } from "../../../state/show-from.ts";
import { Looking } from "../looking.ts";

/** Of boxes that overlap by more than this, the best one is kept. */
const OVERLAP = 0.5;
const MOST_BOXES = 200;

/** Boxes of what the words name. */
class Finding extends Looking<DetectorScene, Detection[], Detector> {
  #lit: Detection | undefined;

  protected override ask(scene: DetectorScene, words: readonly string[], signal: AbortSignal): Promise<Detection[]> {
    return scene.detect(words, { threshold: LEAST, nms: OVERLAP, topK: MOST_BOXES, signal });
  }

  /** The boxes that are shown, best first. */
  get boxes(): readonly Detection[] {
    return shownOf(this.found ?? []);
  }

  /** The box that is pointed at, in the list or in the picture. */
  get lit(): Detection | undefined {
    return this.#lit && this.boxes.includes(this.#lit) ? this.#lit : undefined;
  }

  set lit(box: Detection | undefined) {
    this.#lit = box;
    this.changed();
  }
}

export const finding = new Finding(detectors, "find.words", "dog, guitar, pizza");
