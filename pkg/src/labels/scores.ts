import { OcelliError } from "../error.js";
import type { Calibration, Classification, ModelInfo, RankOptions, Score } from "../types.js";

/** How labels are judged, once the defaults are filled in. `own`: each label by itself, from 0 to 1. */
export interface Judging {
  rule: "softmax" | "sigmoid" | "cosine" | "logits" | "own";
  topK: number;
  threshold: number | undefined;
}

const SCORES: readonly unknown[] = ["auto", "softmax", "sigmoid", "cosine", "logits"];

/** @throws {OcelliError} With code `bad-input` for what makes no sense. */
export function judging(
  { score, topK = Infinity, threshold, multiLabel = false }: RankOptions,
  usual: Score,
  { defaultScore }: ModelInfo,
): Judging {
  requireScore(score);
  if (!(topK >= 1)) throw new OcelliError("bad-input", `topK: expected at least 1, found ${topK}.`);
  if (threshold !== undefined && (typeof threshold !== "number" || Number.isNaN(threshold))) {
    throw new OcelliError("bad-input", `threshold: expected a number, found ${String(threshold)}.`);
  }
  if (multiLabel && score !== undefined && score !== "auto") {
    throw new OcelliError(
      "bad-input",
      `score: expected none with multiLabel, which has its own, found ${JSON.stringify(score)}.`,
    );
  }
  const asked = score ?? usual;
  return { rule: multiLabel ? "own" : asked === "auto" ? defaultScore : asked, topK, threshold };
}

export function requireScore(score: unknown): void {
  if (score !== undefined && !SCORES.includes(score)) {
    throw new OcelliError(
      "bad-input",
      `score: expected auto, softmax, sigmoid, cosine or logits, found ${JSON.stringify(score)}.`,
    );
  }
}

/**
 * What each label says for itself, before σ: its logit if the model was trained to judge labels one by one; else by how much its
 * logit exceeds that of the neutral text, as a softmax over these two does.
 */
export function ownLogits(
  cosines: ArrayLike<number>,
  neutral: number | undefined,
  { logitScale, logitBias }: ModelInfo,
): number[] {
  const offset = neutral === undefined ? logitBias : -logitScale * neutral;
  return Array.from(cosines, (cosine) => logitScale * cosine + offset);
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Scores from cosines. */
export function scoresOf(
  cosines: Float32Array,
  neutral: number | undefined,
  rule: Judging["rule"],
  info: ModelInfo,
): ArrayLike<number> {
  if (rule === "cosine") return cosines;
  if (rule === "own") return ownLogits(cosines, neutral, info).map(sigmoid);
  const logits = ownLogits(cosines, undefined, info);
  if (rule === "logits") return logits;
  if (rule === "sigmoid") return logits.map(sigmoid);
  const most = logits.reduce((a, b) => Math.max(a, b));
  const powers = logits.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/** Those that reach their threshold, best first; equal scores stay in the order given. */
export function rank(
  names: readonly string[],
  scores: ArrayLike<number>,
  threshold: (index: number) => number,
  topK: number,
): Classification[] {
  return names
    .map((label, index) => ({ label, index, score: scores[index] as number }))
    .filter(({ index, score }) => score >= threshold(index))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK);
}

/** How far below the last logit that is accepted the cut lies where nothing lies beneath it: no two images are alike. */
const MARGIN = 0.5;

/**
 * A threshold for each label: the one with the best F1 over the examples. `logits` and `has` are by image, then by label; a logit is -∞
 * where nothing in the image is the label, whatever the threshold. A label that no example has gets the median of the others'.
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
    f1: cut?.f1 ?? (examples > 0 ? 0 : null),
    examples,
  }));
}

/** Midway between the last logit that is accepted and the next one; of equally good cuts the highest. */
function bestCut(examples: { logit: number; right: boolean }[]): { logit: number; f1: number } | undefined {
  const sorted = examples.filter(({ logit }) => logit > -Infinity).sort((a, b) => b.logit - a.logit);
  const all = examples.filter(({ right }) => right).length;
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
