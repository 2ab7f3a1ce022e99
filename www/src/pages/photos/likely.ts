import type { Ocelli } from "ocelli";
import { parseLabels, suggestions } from "../../state/label-list.ts";

/**
 * How far a likely hit stands above what its photo scores with any word, in standard deviations, and what share of the widest such gap
 * among the hits it has. Chosen by tests/web/bench-likely.mjs: of 99 drawings and 17 queries, 74% of what is then called likely is
 * right, and 85% of what is right is likely. The best flat cut-off reaches 68% and 79%, and another model needs another one.
 */
export const LEAST_DEVIATIONS = 1;
export const LEAST_SHARE = 0.5;

/** How a photo scores with any word. */
export interface Usual {
  mean: number;
  deviation: number;
}

/** Words of all kinds, as a model embeds them: what they score with a photo is what any word does. */
export async function anyWords(model: Ocelli): Promise<Float32Array[]> {
  return model.embedTexts([...new Set(suggestions.flatMap(({ labels }) => parseLabels(labels)))]);
}

export function usualOf(photo: Float32Array, words: readonly Float32Array[]): Usual {
  const scores = words.map((word) => dot(photo, word));
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const deviation = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length);
  return { mean, deviation };
}

/** Which of some scores are likely hits; `usual` are of the same photos. */
export function likely(scores: readonly number[], usual: readonly Usual[]): boolean[] {
  const gaps = scores.map((score, i) => score - (usual[i]?.mean ?? 0));
  const least = LEAST_SHARE * Math.max(...gaps);
  return gaps.map((gap, i) => gap >= LEAST_DEVIATIONS * (usual[i]?.deviation ?? 0) && gap >= least);
}

export function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}
