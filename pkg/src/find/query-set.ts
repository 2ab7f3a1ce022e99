/// <reference lib="esnext.disposable" preserve="true" />
import { DeviceRows } from "../device-rows.js";
import { aborted, labelsDisposed, OcelliError, wrap } from "../error.js";
import { examplesOf } from "../labels/examples.js";
import { calibrated } from "../labels/scores.js";
import type { Model } from "../model.js";
import { readSafetensors, writeSafetensors } from "../safetensors.js";
import type { Calibration, CallOptions, ModelInfo } from "../types.js";
import { rowsOf, type SceneData } from "./plain.js";
import { sceneOf } from "./scene-of.js";
import type { Detection, FindOptions, LabelledPicture } from "./types.js";
import { wantedOf } from "./wanted.js";

/** The key of the file's metadata. */
const KEY = "ocelli.queries";

/** What a set is made of. */
export interface Queries {
  labels: string[];
  /** Those with a text that is longer than the model takes. */
  cut: string[];
  /** By label; NaN where it has none of its own. */
  thresholds: Float64Array;
  /** The label of each query; -1 for what is not meant. */
  owners: Int32Array;
  /** The queries, one after the other. */
  vectors: Float32Array;
}

/**
 * What a detector looks for, ready on the device: however many labels there are, an image that was looked at costs milliseconds.
 *
 * ```ts
 * const set = await detector.queries(["a cat", { label: "my cup", image: cup, box }]);
 * for (const file of files) console.log(await detector.detect(file, set));
 * ```
 */
export class QuerySet {
  #queries: Queries;
  #disposed = false;

  private constructor(
    private readonly model: Model,
    queries: Queries,
    private readonly rows: DeviceRows,
  ) {
    this.#queries = queries;
  }

  /** @internal In a call of the model's. */
  static async make(model: Model, queries: Queries): Promise<QuerySet> {
    const { core } = model;
    return new QuerySet(model, queries, new DeviceRows(core, await core.addQueries(queries.vectors)));
  }

  /** What detections are called, in order. */
  get labels(): readonly string[] {
    return this.#queries.labels;
  }

  /**
   * Labels with a text that, in any of its templates, is longer than the model takes: its end is left out.
   *
   * ```ts
   * const set = await detector.queries(words);
   * if (set.cut.length > 0) console.warn("too long:", set.cut);
   * ```
   */
  get cut(): readonly string[] {
    return this.#queries.cut;
  }

  /** @internal */
  async find(model: Model, look: () => Promise<SceneData>, options: FindOptions): Promise<Detection[]> {
    if (model !== this.model)
      throw new OcelliError(
        "wrong-model",
        "queries: expected a set of this detector, found another one's: make it here.",
      );
    return this.#use(async ({ labels, thresholds }) => {
      const rows = await this.#ask(look, options, thresholds);
      return rows.map((row) => ({ label: labels[row.index] as string, ...row }));
    });
  }

  /**
   * Finds a threshold for each label from images of your own: the one with the best F1, the balance of what is found and what is right. An
   * image has a label if anything is found of it, with `multiLabel` left at false. From then on detections of a label are above its
   * threshold, in place of {@link FindOptions.threshold}. Twenty images are a start, with and without the things; a label that none of
   * them has gets the median of the others' thresholds.
   *
   * ```ts
   * await set.calibrate([{ image: file, labels: ["cat", "remote"] }, { image: scene, labels: [] }]);
   * const found = await detector.detect(third, set);
   * ```
   *
   * @returns What was found, in the order of {@link QuerySet.labels}.
   */
  async calibrate(examples: Iterable<LabelledPicture>, options: CallOptions = {}): Promise<Calibration[]> {
    const all = examplesOf(examples, this.labels);
    return this.model.call(options, (core) =>
      this.#use(async ({ labels }) => {
        const logits: number[][] = [];
        for (const [i, { image }] of all.entries()) {
          if (options.signal?.aborted) throw aborted(options.signal.reason, "call");
          const look = () => sceneOf(core, image, options.signal);
          logits.push(await this.#best(look).catch((error: unknown) => Promise.reject(ofExample(i, error))));
        }
        const has = all.map((example) => labels.map((label) => example.labels.includes(label)));
        const found = calibrated(labels, logits, has);
        this.#queries = { ...this.#queries, thresholds: Float64Array.from(found, ({ threshold }) => threshold) };
        return found;
      }),
    );
  }

  /**
   * A file with the queries, for {@link Detector.loadQueries}: whoever loads it needs no text tower.
   *
   * ```ts
   * await store.put("queries", set.save());
   * const detector = await Detector.load(source, { towers: "vision" });
   * const set = await detector.loadQueries(await store.get("queries"));
   * ```
   */
  save(): Blob {
    const { labels, cut, owners, thresholds, vectors } = this.#queries;
    const head: Head = {
      version: 1,
      modelHash: this.model.info.modelHash,
      labels,
      cut,
      owners: [...owners],
      thresholds: Array.from(thresholds, (own) => (Number.isNaN(own) ? null : own)),
    };
    const shape = [owners.length, vectors.length / owners.length] as const;
    return writeSafetensors({ queries: { shape, data: vectors } }, { [KEY]: JSON.stringify(head) });
  }

  /** Frees the device's memory, after calls that are under way. */
  dispose(): void {
    this.#disposed = true;
    this.rows.release();
  }

  /** For `using set = await detector.queries(…)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Does `work`, until when the queries stay on the device. */
  async #use<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    if (this.#disposed) throw labelsDisposed();
    return this.rows.use(() => work(this.#queries));
  }

  /** Looks when it is known that the options are sound. */
  #ask(look: () => Promise<SceneData>, options: FindOptions, thresholds: Float64Array) {
    const { owners } = this.#queries;
    const wanted = wantedOf(options, owners.every((owner, i) => owner === i) ? new Int32Array() : owners, thresholds);
    return this.rows.use(async (core, number) => rowsOf(await core.detect(number, await look(), wanted)));
  }

  /** The best logit of each label; -∞ where every patch is something else. */
  async #best(look: () => Promise<SceneData>): Promise<number[]> {
    const best = this.labels.map(() => -Infinity);
    for (const { index, logit } of await this.#ask(look, { threshold: 0 }, new Float64Array()))
      best[index] = Math.max(best[index] as number, logit);
    return best;
  }
}

/** Of which example an error speaks, if it is about its image. */
function ofExample(index: number, error: unknown): OcelliError {
  const { code, message, cause } = wrap(error);
  const own = code === "bad-image" || code === "bad-input";
  return own ? new OcelliError(code, `examples[${index}].image: ${message}`, { cause }) : wrap(error);
}

interface Head {
  version: 1;
  modelHash: string;
  labels: string[];
  cut: string[];
  owners: number[];
  thresholds: (number | null)[];
}

/** What {@link QuerySet.save} wrote. @throws {OcelliError} With code `bad-input` for another file, or `wrong-model` for another model's. */
export async function readQueries(file: Blob, { modelHash, embeddingDim: dim }: ModelInfo): Promise<Queries> {
  if (!(file instanceof Blob))
    throw new OcelliError("bad-input", `queries file: expected a Blob, found ${typeof file}.`);
  try {
    const { metadata, tensors } = await readSafetensors(file);
    const head = JSON.parse(metadata[KEY] ?? "{}") as Partial<Head>;
    const { version, labels = [], cut = [], owners = [], thresholds = [] } = head;
    if (version !== 1) throw new Error(`expected queries of version 1, found version ${String(version)}`);
    if (head.modelHash !== modelHash) {
      throw new OcelliError(
        "wrong-model",
        `queries file: expected model ${modelHash}, which is loaded, found queries of model ${String(head.modelHash)}: ` +
          "load that one, or make them again.",
      );
    }
    const { shape, data } = tensors["queries"] ?? { shape: [0, 0], data: new Float32Array() };
    const known = (owner: number) => Number.isInteger(owner) && owner >= -1 && owner < labels.length;
    if (shape[0] < 1 || shape[1] !== dim || owners.length !== shape[0] || !owners.every(known))
      throw new Error(`expected ${owners.length} known queries of ${dim} numbers, found ${shape.join(" × ")}`);
    return {
      labels,
      cut: labels.filter((label) => cut.includes(label)),
      thresholds: Float64Array.from(labels, (_, i) => thresholds[i] ?? NaN),
      owners: Int32Array.from(owners),
      vectors: data,
    };
  } catch (cause) {
    if (cause instanceof OcelliError) throw cause;
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new OcelliError("bad-input", `queries file: ${what}: save the queries again.`, { cause });
  }
}
