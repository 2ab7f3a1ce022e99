import { rowsOf } from "../vectors.js";

/** Embeddings of pictures, with the fields of transformers.js' `Tensor`. */
export class Features {
  /** Always `"float32"`. */
  readonly type = "float32";

  /** @internal */
  constructor(
    /** Pictures, and numbers of each. */
    readonly dims: readonly [pictures: number, numbers: number],
    /** One picture after the other. */
    readonly data: Float32Array,
  ) {}

  /** All numbers. */
  get size(): number {
    return this.data.length;
  }

  /** An array of numbers for each picture. */
  tolist(): number[][] {
    return rowsOf(this.data, this.dims[1]).map((row) => Array.from(row));
  }
}
