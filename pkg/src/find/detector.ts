/// <reference lib="esnext.disposable" preserve="true" />
import { loadModel } from "../load-model.js";
import type { Model } from "../model.js";
import type { ModelSource } from "../source/types.js";
import type { CallOptions, ImageInput, ModelEvents, ModelInfo, Verification } from "../types.js";
import { DetectorScene } from "./detector-scene.js";
import { requireScene, type SceneData } from "./plain.js";
import { Questions } from "./queries.js";
import type { QuerySet } from "./query-set.js";
import type { Detection, DetectOptions, DetectorOptions, Query, QueryOptions } from "./types.js";

/**
 * A model that finds things by words or by examples, and says where they are: OWL-ViT or OWLv2.
 *
 * ```ts
 * const detector = await Detector.load("hf:google/owlv2-base-patch16-ensemble", { format: "q8", worker: true });
 * for (const { label, score, box } of await detector.detect(picture, ["a cat", "a remote"])) draw(box, label, score);
 * ```
 */
export class Detector {
  readonly #model: Model;
  readonly #questions: Questions;

  private constructor(model: Model) {
    this.#model = model;
    this.#questions = new Questions(model);
  }

  /**
   * Loads a detector: with the options of `Ocelli.load`, and from the same sources.
   *
   * @throws {OcelliError} With code `wrong-model` if it is no detector, before its weights are fetched; else see {@link ErrorCode}.
   */
  static async load(source: ModelSource, options: DetectorOptions = {}): Promise<Detector> {
    return new Detector(await loadModel(source, options, "detect"));
  }

  /** What was loaded, and on what. */
  get info(): ModelInfo {
    return this.#model.info;
  }

  /** Listens to what happens without a call: see `Ocelli.on`. Returns how to stop listening. */
  on<E extends keyof ModelEvents>(event: E, listener: (info: ModelInfo) => void): () => void {
    return this.#model.on(event, listener);
  }

  /** Runs the image tower, which is nearly all of the work, once for any number of questions. */
  look(picture: ImageInput, options: CallOptions = {}): Promise<DetectorScene> {
    return this.#model.call(
      options,
      async (core) => new DetectorScene(this.#questions, await core.look(picture, options.signal)),
    );
  }

  /**
   * The scene that {@link DetectorScene.data} is of, from another thread, an earlier visit, or before a loss.
   *
   * @throws {OcelliError} With code `bad-input` for anything else.
   */
  scene(data: SceneData): DetectorScene {
    requireScene(data);
    return new DetectorScene(this.#questions, data);
  }

  /**
   * What to look for, compiled once: labels, words, images that show it, and images of what is not meant.
   *
   * ```ts
   * const set = await detector.queries(["a cat", { label: "my cup", image: cup, box: { x: 40, y: 12, width: 90, height: 80 } }], {
   *   template: "a photo of {}",
   *   thresholds: { "my cup": 0.6 },
   * });
   * ```
   */
  queries(queries: readonly Query[], options: QueryOptions = {}): Promise<QuerySet> {
    return this.#model.call(options, () => this.#questions.make(queries, options));
  }

  /**
   * Queries from the file that {@link QuerySet.save} made. Needs no text tower.
   *
   * @throws {OcelliError} With code `wrong-model` if another model made them, or `bad-input` for another file.
   */
  loadQueries(file: Blob): Promise<QuerySet> {
    return this.#model.call({}, () => this.#questions.load(file));
  }

  /**
   * What is in an image, best first. Sets of labels are kept: the next image with the same ones needs no text tower.
   *
   * ```ts
   * const found = await detector.detect(picture, ["a cat", "a remote"], { threshold: 0.2, nms: 0.5, topK: 50 });
   * ```
   */
  detect(picture: ImageInput, what: QuerySet | readonly string[], options: DetectOptions = {}): Promise<Detection[]> {
    return this.#model.call(options, (core) =>
      this.#questions.detect(() => core.look(picture, options.signal), what, options),
    );
  }

  /** Whether this device computes correctly: see `Ocelli.verify`. */
  verify(options: CallOptions = {}): Promise<Verification> {
    return this.#model.call(options, (core) => core.verify());
  }

  /** Frees the device's memory, after calls that are under way; a worker ends with it. */
  dispose(): void {
    this.#questions.dispose();
    this.#model.dispose();
  }

  /** For `using detector = await Detector.load(…)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
