import { rowsOf } from "../vectors.js";

/** Embeddings of images, with the fields of transformers.js' `Tensor`. */
export class Features {
  /** Always `"float32"`. */
  readonly type = "float32";

  /** @internal */
  constructor(
    /** Images, and numbers of each. */
    readonly dims: readonly [pictures: number, numbers: number],
    /** One image after the other. */
    readonly data: Float32Array,
  ) {}

  /** All numbers. */
  get size(): number {
    return this.data.length;
  }

  /** An array of numbers for each image. */
  tolist(): number[][] {
    return rowsOf(this.data, this.dims[1]).map((row) => Array.from(row));
  }
}
