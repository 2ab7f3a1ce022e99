/** Arithmetic on embeddings; sums in f64. */

/** Rows of `dim` numbers that lie one after the other, without a copy. */
export function rowsOf(flat: Float32Array, dim: number): Float32Array[] {
  return Array.from({ length: flat.length / dim }, (_, row) => flat.subarray(row * dim, (row + 1) * dim));
}

/** The reverse: rows of `dim` numbers, one after the other. */
export function joined(rows: readonly Float32Array[], dim: number): Float32Array {
  const flat = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => flat.set(row, i * dim));
  return flat;
}

/** Σ weight · vector, of unit length; of the opposite of nothing, nothing. */
export function unitSum(terms: [weight: number, vector: ArrayLike<number>][]): Float32Array {
  const sum = new Float64Array(terms[0]?.[1].length ?? 0);
  for (const [weight, vector] of terms) for (let i = 0; i < sum.length; i++) sum[i]! += weight * (vector[i] as number);
  const length = Math.hypot(...sum) || 1;
  return Float32Array.from(sum, (x) => x / length);
}

/** The mean of vectors, of whatever length it comes to. */
export function meanOf(vectors: readonly Float32Array[]): Float32Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += vector[i] as number;
  return Float32Array.from(sum, (x) => x / vectors.length);
}

/** The cosine of two vectors of unit length. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
