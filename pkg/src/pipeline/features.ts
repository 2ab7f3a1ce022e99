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
    const [pictures, numbers] = this.dims;
    return Array.from({ length: pictures }, (_, at) =>
      Array.from(this.data.subarray(at * numbers, (at + 1) * numbers)),
    );
  }
}
