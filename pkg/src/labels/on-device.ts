import { DeviceRows } from "../device-rows.js";
import { OcelliError } from "../error.js";
import type { Model } from "../model.js";
import type { ImageInput } from "../types.js";
import { dot, joined } from "../vectors.js";
import { blend, type Content } from "./content.js";

/** What every device can bind: a set's rows are one buffer. */
const MOST_BYTES = 128 << 20;

/** The rows of a set, one for each label and then the neutral text's, here and on the device. */
export class OnDevice {
  private constructor(
    private readonly rows: Float32Array[],
    private readonly matrix: DeviceRows,
  ) {}

  static async make({ core, info }: Model, { labels, neutral, nothing }: Content): Promise<OnDevice> {
    requireRoom(labels.length, info.embeddingDim);
    const rows = labels.map(({ text, examples }) =>
      examples && nothing ? blend(text, examples, nothing) : (text as Float32Array),
    );
    if (neutral) rows.push(neutral);
    return new OnDevice(rows, new DeviceRows(core, await core.addLabels(joined(rows, info.embeddingDim))));
  }

  /** The cosine of each row with an image's embedding. */
  cosines(image: ImageInput, signal: AbortSignal | undefined): Promise<Float32Array> {
    return this.matrix.use((core, number) => core.classify(number, image, signal));
  }

  cosinesWith(embedding: Float32Array): Float32Array {
    return Float32Array.from(this.rows, (row) => dot(row, embedding));
  }

  /** Frees the memory, after calls that are under way. */
  release(): void {
    this.matrix.release();
  }
}

/** @throws {OcelliError} With code `bad-input` for more labels than a GPU must be able to hold. */
export function requireRoom(labels: number, dim: number): void {
  const most = Math.floor(MOST_BYTES / (4 * dim)) - 1;
  if (labels > most)
    throw new OcelliError(
      "bad-input",
      `labels: expected at most ${most} with embeddings of ${dim} numbers (128 MiB), found ${labels}: use several sets.`,
    );
}
