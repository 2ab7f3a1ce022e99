import { LookedAt } from "./looked-at.js";
import type { SceneData } from "./plain.js";
import type { QuerySet } from "./query-set.js";
import type { Detection, DetectOptions } from "./types.js";

/** The detector of a scene. */
export interface Asker {
  ask(data: SceneData, what: QuerySet | readonly string[], options: DetectOptions): Promise<Detection[]>;
}

/**
 * A picture that a detector has looked at, for any number of questions: each costs a few milliseconds. It is plain numbers
 * ({@link DetectorScene.data}), and outlives the device that they come from.
 *
 * ```ts
 * const scene = await detector.look(picture);
 * const cats = await scene.detect(["a cat"]);
 * const dogs = await scene.detect(["a dog"]);
 * ```
 */
export class DetectorScene extends LookedAt {
  readonly #asker: Asker;

  /** @internal */
  constructor(asker: Asker, data: SceneData) {
    super(data);
    this.#asker = asker;
  }

  /** What is there, best first: see {@link Detector.detect}. */
  detect(what: QuerySet | readonly string[], options: DetectOptions = {}): Promise<Detection[]> {
    return this.#asker.ask(this.data, what, options);
  }
}
