import { shownOf } from "../../parts/boxes.ts";
import type { Finder, Framed, Scene } from "../../state/finder.ts";
import { detectors } from "../../state/models.ts";
import { LEAST } from "../../state/show-from.ts";
import { Looking } from "../looking.ts";

/** Of boxes that overlap by more than this, the best one is kept. */
const OVERLAP = 0.5;
const MOST_BOXES = 200;

/** Boxes of what the words name. */
class Finding extends Looking<Scene, Framed[], Finder> {
  #lit: Framed | undefined;

  protected override ask(scene: Scene, words: readonly string[], signal: AbortSignal): Promise<Framed[]> {
    return scene.detect(words, { threshold: LEAST, nms: OVERLAP, topK: MOST_BOXES, signal });
  }

  /** Whether the model gives scores. */
  get scores(): boolean {
    return detectors.info?.family !== "florence2";
  }

  /** The boxes that are shown, best first. */
  get boxes(): readonly Framed[] {
    return shownOf(this.found ?? []);
  }

  /** The box that is pointed at, in the list or in the picture. */
  get lit(): Framed | undefined {
    return this.#lit && this.boxes.includes(this.#lit) ? this.#lit : undefined;
  }

  set lit(box: Framed | undefined) {
    this.#lit = box;
    this.changed();
  }
}

export const finding = new Finding(detectors, "find.words", "dog, guitar, pizza");
