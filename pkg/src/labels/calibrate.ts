import { sigmoid } from "./scores.js";
import type { Calibration } from "../types.js";

/** How far below the last logit that is accepted the cut lies where nothing lies beneath it: no two pictures are alike. */
const MARGIN = 0.5;

/**
 * A threshold for each label: the one with the best F1 over the examples. `logits` and `has` are by picture, then by label.
 * A label that no example has gets the median of the others'.
 */
export function calibrated(names: readonly string[], logits: number[][], has: boolean[][]): Calibration[] {
  const found = names.map((label, at) => {
    const examples = logits.map((row, i) => ({ logit: row[at] as number, right: has[i]?.[at] as boolean }));
    return { label, cut: bestCut(examples), examples: examples.filter(({ right }) => right).length };
  });
  const cuts = found.flatMap(({ cut }) => cut?.logit ?? []).sort((a, b) => a - b);
  const median = cuts[cuts.length >> 1] ?? 0;
  return found.map(({ label, cut, examples }) => ({
    label,
    threshold: sigmoid(cut?.logit ?? median),
    f1: cut?.f1 ?? null,
    examples,
  }));
}

/** Midway between the last logit that is accepted and the next one; of equally good cuts the highest. */
function bestCut(examples: { logit: number; right: boolean }[]): { logit: number; f1: number } | undefined {
  const sorted = [...examples].sort((a, b) => b.logit - a.logit);
  const all = sorted.filter(({ right }) => right).length;
  let best: { logit: number; f1: number } | undefined;
  let hits = 0;
  sorted.forEach(({ logit, right }, i) => {
    if (right) hits += 1;
    const next = sorted[i + 1]?.logit ?? logit - 2 * MARGIN;
    const f1 = (2 * hits) / (i + 1 + all);
    if (next < logit && f1 > (best?.f1 ?? 0)) best = { logit: (logit + next) / 2, f1 };
  });
  return best;
}
