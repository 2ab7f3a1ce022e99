import { OcelliError } from "../error.js";
import type { Content, Matrix, Scorer } from "./content.js";
import { blend } from "./learn.js";
import type { CallOptions, ImageInput } from "../types.js";
import { dot, joined } from "../vectors.js";

/** What every device can bind: the matrix is one buffer. */
const MOST_BYTES = 128 << 20;

/** The rows of a set, one for each label and then the neutral text's, here and on the device. */
export class OnDevice {
  #calls = 0;
  #released = false;

  private constructor(
    private readonly rows: Float32Array[],
    private readonly matrix: Matrix,
  ) {}

  static async make(scorer: Scorer, { labels, neutral, nothing }: Content): Promise<OnDevice> {
    requireRoom(labels.length, scorer.info.embeddingDim);
    const rows = labels.map(({ text, examples }) =>
      examples && nothing ? blend(text, examples, nothing) : (text as Float32Array),
    );
    if (neutral) rows.push(neutral);
    const matrix = await scorer.matrix(joined(rows, scorer.info.embeddingDim));
    const device = new OnDevice(rows, matrix);
    forgotten.register(device, matrix, device);
    return device;
  }

  async cosines(image: ImageInput, options: CallOptions): Promise<Float32Array> {
    this.#calls += 1;
    try {
      return await this.matrix.cosines(image, options);
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
    if (!this.#released || this.#calls > 0 || !forgotten.unregister(this)) return;
    this.matrix.free();
  }
}

/** Rows that went without being released. */
const forgotten = new FinalizationRegistry<Matrix>((matrix) => matrix.free());

/** @throws {OcelliError} With code `bad-input` for more labels than a GPU must be able to hold. */
export function requireRoom(labels: number, dim: number): void {
  const most = Math.floor(MOST_BYTES / (4 * dim)) - 1;
  if (labels > most)
    throw new OcelliError(
      "bad-input",
      `labels: expected at most ${most} with embeddings of ${dim} numbers (128 MiB), found ${labels}: use several sets.`,
    );
}
