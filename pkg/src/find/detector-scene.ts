import type { SceneData } from "./plain.js";
import type { Questions } from "./queries.js";
import type { QuerySet } from "./query-set.js";
import type { Detection, DetectOptions } from "./types.js";

/**
 * A picture that a detector has looked at, for any number of questions: each costs a few milliseconds. It is plain numbers, and outlives
 * the device that they come from.
 *
 * ```ts
 * const scene = await detector.look(picture);
 * const cats = await scene.detect(["a cat"]);
 * const dogs = await scene.detect(["a dog"]);
 * ```
 */
export class DetectorScene {
  readonly #questions: Questions;

  /** @internal */
  constructor(
    questions: Questions,
    /** What it is made of: can be posted or stored, and becomes a scene again by {@link Detector.scene}. */
    readonly data: SceneData,
  ) {
    this.#questions = questions;
  }

  /** Width of the upright picture in pixels. */
  get width(): number {
    return this.data.width;
  }

  /** Its height. */
  get height(): number {
    return this.data.height;
  }

  /** What is there, best first: see {@link Detector.detect}. */
  detect(what: QuerySet | readonly string[], options: DetectOptions = {}): Promise<Detection[]> {
    const questions = this.#questions;
    return questions.model.call(options, () => questions.detect(async () => this.data, what, options));
  }
}
