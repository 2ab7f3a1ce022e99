/// <reference lib="esnext.disposable" preserve="true" />
import { DeviceRows } from "../device-rows.js";
import { labelsDisposed, OcelliError } from "../error.js";
import type { Model } from "../model.js";
import { readSafetensors, writeSafetensors } from "../safetensors.js";
import type { ModelInfo } from "../types.js";
import type { SceneData } from "./plain.js";
import type { Detection, FindOptions } from "./types.js";
import { wantedOf } from "./wanted.js";

/** The key of the file's metadata. */
const KEY = "ocelli.queries";

/** What a set is made of. */
export interface Queries {
  labels: string[];
  /** By label; NaN where it has none of its own. */
  thresholds: Float64Array;
  /** The label of each query; -1 for what is not meant. */
  owners: Int32Array;
  /** The queries, one after the other. */
  vectors: Float32Array;
}

/**
 * What a detector looks for, ready on the device: however many labels there are, a picture that was looked at costs milliseconds.
 *
 * ```ts
 * const set = await detector.queries(["a cat", { label: "my cup", image: cup, box }]);
 * for (const file of files) console.log(await detector.detect(file, set));
 * ```
 */
export class QuerySet {
  #disposed = false;

  private constructor(
    private readonly model: Model,
    private readonly queries: Queries,
    private readonly rows: DeviceRows,
  ) {}

  /** @internal In a call of the model's. */
  static async make(model: Model, queries: Queries): Promise<QuerySet> {
    const { core } = model;
    return new QuerySet(model, queries, new DeviceRows(core, await core.addQueries(queries.vectors)));
  }

  /** What detections are called, in order. */
  get labels(): readonly string[] {
    return this.queries.labels;
  }

  /** @internal */
  async find(model: Model, look: () => Promise<SceneData>, options: FindOptions): Promise<Detection[]> {
    if (this.#disposed) throw labelsDisposed();
    if (model !== this.model)
      throw new OcelliError(
        "wrong-model",
        "queries: expected a set of this detector, found another one's: make it here.",
      );
    const { labels, owners, thresholds } = this.queries;
    const wanted = wantedOf(options, owners.every((owner, i) => owner === i) ? new Int32Array() : owners, thresholds);
    const rows = await this.rows.use(async (core, number) => core.detect(number, await look(), wanted));
    return detections(rows, labels);
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
    const { labels, owners, thresholds, vectors } = this.queries;
    const head: Head = {
      version: 1,
      modelHash: this.model.info.modelHash,
      labels,
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
}

/** From what {@link Core.detect} gives. */
function detections(rows: Float64Array, labels: readonly string[]): Detection[] {
  return Array.from({ length: rows.length / 8 }, (_, at) => {
    const [index, score, logit, token, x, y, width, height] = rows.subarray(8 * at, 8 * at + 8) as unknown as Row;
    return { label: labels[index] as string, index, score, logit, token, box: { x, y, width, height } };
  });
}

type Row = [number, number, number, number, number, number, number, number];

interface Head {
  version: 1;
  modelHash: string;
  labels: string[];
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
    const { version, labels = [], owners = [], thresholds = [] } = head;
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
