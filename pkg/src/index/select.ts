import type { Rows } from "./rows.js";
import { GROUP, slack } from "./scan.js";

/** Multiplications between two pauses, about 10 ms. */
const WORK = 8_000_000;

/** A row and its cosine. */
export interface ScoredRow {
  row: number;
  score: number;
}

/** Whether the bit of a row is set. */
export function passesRow(passes: Uint32Array, row: number): boolean {
  return (((passes[row >>> 5] as number) >>> (row & 31)) & 1) === 1;
}

/** Returns a function to be called for each row, which pauses now and then so that the page can respond. */
export function pauses(dim: number): () => Promise<void> | undefined {
  let work = 0;
  return () => {
    if ((work += dim) < WORK) return undefined;
    work = 0;
    return new Promise((resolve) => setTimeout(resolve));
  };
}

/**
 * The exact cosines of all rows that pass and have at least `least`. `best`, if there is a GPU, has the best score of each group, off by
 * its slack at most: groups that cannot have such a row are not looked at. That is all that a GPU changes.
 */
export async function above(
  rows: Rows,
  query: Float64Array,
  passes: Uint32Array,
  least: number,
  best: Float32Array | undefined,
  pause: () => Promise<void> | undefined,
): Promise<ScoredRow[]> {
  const off = slack(query, rows.format);
  const found: ScoredRow[] = [];
  const count = Math.min(rows.count, passes.length * 32);
  for (let first = 0; first < count; first += GROUP) {
    // Nothing passes where the best is far below -1.
    const peak = best ? (best[first / GROUP] as number) : 1;
    if (peak < -2 || peak + off < least) continue;
    for (let row = first; row < Math.min(first + GROUP, count); row++) {
      if (!passesRow(passes, row)) continue;
      const score = rows.dot(row, query);
      if (score >= least) found.push({ row, score });
      const wait = pause();
      if (wait) await wait;
    }
  }
  return found;
}

/** The k best rows that pass and have at least `least`, best first; equal scores in the order of the rows. */
export async function topK(
  rows: Rows,
  query: Float64Array,
  passes: Uint32Array,
  k: number,
  least: number,
  best: Float32Array | undefined,
): Promise<ScoredRow[]> {
  // At least k rows reach the k-th best group's score, give or take the slack.
  const sure = best ? kth(best, k) - slack(query, rows.format) : -Infinity;
  const found = await above(rows, query, passes, Math.max(least, sure), best, pauses(rows.dim));
  const last = kth(
    Float64Array.from(found, ({ score }) => score),
    k,
  );
  return found
    .filter(({ score }) => score >= last)
    .sort((a, b) => b.score - a.score || a.row - b.row)
    .slice(0, k);
}

/** The k-th largest number; -Infinity if there are fewer. */
function kth(numbers: Float32Array | Float64Array, k: number): number {
  return numbers.slice().sort()[numbers.length - k] ?? -Infinity;
}
