import type { Calls } from "../core.js";
import { OcelliError } from "../error.js";
import type { Model } from "../model.js";
import type { ImageInput } from "../types.js";
import { dot, joined } from "../vectors.js";
import { blend, type Content } from "./content.js";

/** What every device can bind: a set's rows are one buffer. */
const MOST_BYTES = 128 << 20;

/** The rows of a set, one for each label and then the neutral text's, here and on the device. */
export class OnDevice {
  #calls = 0;
  #released = false;

  private constructor(
    private readonly rows: Float32Array[],
    private readonly matrix: Matrix,
  ) {}

  static async make({ core, info }: Model, { labels, neutral, nothing }: Content): Promise<OnDevice> {
    requireRoom(labels.length, info.embeddingDim);
    const rows = labels.map(({ text, examples }) =>
      examples && nothing ? blend(text, examples, nothing) : (text as Float32Array),
    );
    if (neutral) rows.push(neutral);
    const matrix = { core, number: await core.addLabels(joined(rows, info.embeddingDim)) };
    const device = new OnDevice(rows, matrix);
    forgotten.register(device, matrix, device);
    return device;
  }

  /** The cosine of each row with a picture's embedding. */
  async cosines(image: ImageInput, signal: AbortSignal | undefined): Promise<Float32Array> {
    const { core, number } = this.matrix;
    this.#calls += 1;
    try {
      return await core.classify(number, image, signal);
    } finally {
      this.#calls -= 1;
      this.#free();
    }
  }

  cosinesWith(embedding: Float32Array): Float32Array {
    return Float32Array.from(this.rows, (row) => dot(row, embedding));
  }

  /** Frees the memory, after calls that are under way. */
  release(): void {
    this.#released = true;
    this.#free();
  }

  #free(): void {
    if (this.#released && this.#calls === 0 && forgotten.unregister(this)) drop(this.matrix);
  }
}

/** Rows on the device, and their number there. */
interface Matrix {
  core: Calls;
  number: number;
}

const drop = ({ core, number }: Matrix) => core.dropLabels(number);

/** Rows that went without being released. */
const forgotten = new FinalizationRegistry<Matrix>(drop);

/** @throws {OcelliError} With code `bad-input` for more labels than a GPU must be able to hold. */
export function requireRoom(labels: number, dim: number): void {
  const most = Math.floor(MOST_BYTES / (4 * dim)) - 1;
  if (labels > most)
    throw new OcelliError(
      "bad-input",
      `labels: expected at most ${most} with embeddings of ${dim} numbers (128 MiB), found ${labels}: use several sets.`,
    );
}
