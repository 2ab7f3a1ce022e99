import { LookedAt } from "./looked-at.js";
import type { SceneData } from "./plain.js";
import type { QuerySet } from "./query-set.js";
import type { Detection, DetectOptions, ObjectOptions, Proposal } from "./types.js";

/** The detector of a scene. */
export interface Asker {
  ask(data: SceneData, what: QuerySet | readonly string[], options: DetectOptions): Promise<Detection[]>;
  objects(data: SceneData, options: ObjectOptions): Promise<Proposal[]>;
}

/**
 * An image that a detector has looked at, for any number of questions: each costs a few milliseconds. It is plain numbers
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

  /**
   * Boxes without words: whatever OWLv2 takes for an object, best first.
   *
   * ```ts
   * for (const { score, box } of await scene.objects({ topK: 20, nms: 0.5 })) console.log(score, box);
   * ```
   *
   * @throws {OcelliError} With code `wrong-model` for OWL-ViT, which does not say.
   */
  objects(options: ObjectOptions = {}): Promise<Proposal[]> {
    return this.#asker.objects(this.data, options);
  }
}
