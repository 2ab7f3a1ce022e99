// Vectors at random, and the search in the most obvious way, in f64: what the package is measured against.

/** `count` vectors of lengths other than one; the same for the same seed. */
export function vectors(count, dim, seed = 1) {
  let state = seed;
  const next = () => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // In f32, because that is what travels.
  return Array.from({ length: count }, () =>
    Array.from(Float32Array.from({ length: dim }, () => next() + next() + next() - 1.5)),
  );
}

export function cosine(a, b) {
  let [dot, aa, bb] = [0, 0, 0];
  for (let d = 0; d < a.length; d++) [dot, aa, bb] = [dot + a[d] * b[d], aa + a[d] * a[d], bb + b[d] * b[d]];
  return dot / Math.sqrt(aa * bb);
}

/** What int8 makes of a vector: the largest number becomes 127. */
export function rounded(vector) {
  const peak = Math.max(...vector.map(Math.abs));
  return vector.map((x) => Math.round((x / peak) * 127));
}

/** The k rows nearest to a query: `{ row, score }`, best first, equal ones in their order. */
export function nearest(rows, query, k = 10, passes = () => true) {
  const all = rows.map((row, i) => ({ row: i, score: cosine(row, query) })).filter(({ row }) => passes(row));
  return all.sort((a, b) => b.score - a.score || a.row - b.row).slice(0, k);
}

/** Groups of rows that hang together by cosines of at least `threshold`. */
export function alike(rows, threshold) {
  const groups = [];
  rows.forEach((row, i) => {
    const mine = groups.filter((group) => group.some((other) => cosine(rows[other], row) >= threshold));
    const rest = groups.filter((group) => !mine.includes(group));
    groups.splice(
      0,
      groups.length,
      ...rest,
      [...mine.flat(), i].sort((a, b) => a - b),
    );
  });
  return groups.filter(({ length }) => length > 1).sort((a, b) => a[0] - b[0]);
}
