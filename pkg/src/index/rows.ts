import { OcelliError } from "../error.js";
import type { IndexFormat, Vector } from "./types.js";

/** A row's length is a multiple of these bytes, which an invocation of the shader reads at once. */
export const STEP_BYTES = 16;

/** A vector scaled to unit length. `what` names it in errors. */
export function unit(vector: Vector, dim: number, what: string): Float64Array {
  if (vector.length !== dim) {
    throw new OcelliError(
      "bad-input",
      `${what}: expected ${dim} numbers, found ${vector.length}: it is of another model than the index.`,
    );
  }
  const out = Float64Array.from(vector);
  const length = Math.sqrt(out.reduce((sum, x) => sum + x * x, 0));
  if (!(length > 0 && length < Infinity)) {
    throw new OcelliError(
      "bad-input",
      `${what}: expected a direction, found ${length === 0 ? "zeros" : "NaN, infinity or no numbers"}.`,
    );
  }
  return out.map((x) => x / length);
}

/** Unit vectors in the order of insertion. The GPU has a copy. */
export class Rows {
  /** Number of rows. */
  count = 0;
  /** Changes whenever rows have moved. */
  generation = 0;
  /** Bytes of a row, padding included. */
  readonly stride: number;
  #bytes = new Uint8Array(0);
  /** The memory of `#bytes`, as numbers. */
  #numbers: Float32Array | Int8Array = new Int8Array(0);
  /** Scale of each int8 row: the row times its scale has unit length. */
  #scales = new Float32Array(0);

  constructor(
    readonly dim: number,
    readonly format: IndexFormat,
  ) {
    this.stride = Math.ceil((dim * this.numberBytes) / STEP_BYTES) * STEP_BYTES;
  }

  get numberBytes(): number {
    return this.format === "int8" ? 1 : 4;
  }

  push(row: Float64Array): void {
    this.#reserve(this.count + 1);
    let numbers = row;
    if (this.format === "int8") {
      const peak = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      numbers = row.map((x) => Math.round((x / peak) * 127));
      this.#scales[this.count] = 1 / Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0));
    }
    this.#numbers.set(numbers, this.#start(this.count));
    this.count += 1;
  }

  /** Appends stored rows: `bytes` and `scales` of other rows of this format. */
  pushKept(bytes: Uint8Array, scales: Float32Array): void {
    const count = bytes.length / this.stride;
    this.#reserve(this.count + count);
    this.#bytes.set(bytes, this.count * this.stride);
    this.#scales.set(scales, this.count);
    this.count += count;
  }

  /** Keeps only these rows, given in ascending order. */
  keep(rows: number[]): void {
    rows.forEach((row, to) => {
      this.#bytes.copyWithin(to * this.stride, row * this.stride, (row + 1) * this.stride);
      this.#scales.copyWithin(to, row, row + 1);
    });
    this.count = rows.length;
    this.generation += 1;
  }

  /** The cosine between a row and a unit vector, in f64. */
  dot(row: number, query: Float64Array): number {
    const [numbers, start] = [this.#numbers, this.#start(row)];
    let sum = 0;
    for (let d = 0; d < query.length; d++) sum += (numbers[start + d] as number) * (query[d] as number);
    return sum * this.#scale(row);
  }

  /** A row as a unit vector. */
  unit(row: number): Float64Array {
    const scale = this.#scale(row);
    return Float64Array.from(this.numbers(row), (x) => x * scale);
  }

  /** A row as it is stored. */
  numbers(row: number): Float32Array | Int8Array {
    const start = this.#start(row);
    return this.#numbers.subarray(start, start + this.dim);
  }

  bytes(first: number, end: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(first * this.stride, end * this.stride);
  }

  scales(first: number, end: number): Float32Array<ArrayBuffer> {
    return this.#scales.subarray(first, end);
  }

  #scale(row: number): number {
    return this.format === "int8" ? (this.#scales[row] as number) : 1;
  }

  #start(row: number): number {
    return (row * this.stride) / this.numberBytes;
  }

  #reserve(count: number): void {
    if (count <= this.#scales.length) return;
    const capacity = Math.max(count, this.#scales.length * 2);
    const [bytes, scales] = [new Uint8Array(capacity * this.stride), new Float32Array(capacity)];
    bytes.set(this.#bytes);
    scales.set(this.#scales);
    [this.#bytes, this.#scales] = [bytes, scales];
    this.#numbers = this.format === "int8" ? new Int8Array(bytes.buffer) : new Float32Array(bytes.buffer);
  }
}
