import type { Score } from "ocelli";

/** A score that is one, and not a wish to have the model choose. */
export type Shown = Exclude<Score, "auto">;

export interface Scale {
  /** How much of the row a score fills, 0 to 1. The longest bar is always the best label. */
  part(score: number): number;
  /** What a full bar means, for the caption. */
  caption: string;
}

/**
 * The least score of a model's own rule at which the best label counts as an answer; below it, the page says "Not sure".
 *
 * Sigmoid (SigLIP): 0.5 %. Each label is judged alone, and scores are low: of the app's nine samples, the built-in model gives eight
 * their own label 0.9 % to 90 %, and the best of the others 0.01 % to 0.6 %.
 * Softmax (CLIP): a third, or ten times the even share where there are so many labels that a third is too much to ask. With up to
 * three labels one of them always has a third: softmax cannot say that none fits.
 */
export function usual(rule: "softmax" | "sigmoid", labels: number): number {
  return rule === "sigmoid" ? 0.005 : Math.min(1 / 3, 10 / labels);
}

/** A full bar of sigmoids is never less than this: the bar of a label that does not fit stays short. */
const LEAST_FULL = 0.1;

/**
 * Shares and probabilities start at zero. Cosines and logits may all be negative, and a zero line would then give the best
 * label the shortest bar: those run from the lowest label to the highest.
 */
export function scaleOf(shown: Shown, scores: number[]): Scale {
  const high = Math.max(...scores);
  const low = Math.min(...scores);
  if (shown === "softmax") {
    const all =
      scores.length === 1 ? "With one label, that is always 100%." : `The ${scores.length} labels share 100%.`;
    return { part: (score) => score, caption: all };
  }
  if (shown === "sigmoid") {
    const full = Math.max(LEAST_FULL, roundUp(high));
    return {
      part: (score) => score / full,
      caption: `Each label is judged on its own. A full bar is ${format(shown, full)}.`,
    };
  }
  if (high === low) return { part: () => 1, caption: "All labels score the same." };
  return {
    part: (score) => (score - low) / (high - low),
    caption: `Bars run from the lowest label (${format(shown, low)}) to the highest (${format(shown, high)}).`,
  };
}

/** The next of 1, 0.5, 0.2, 0.1, 0.05, … above a probability, so that small sigmoids can be told apart. */
function roundUp(score: number): number {
  let full = 1;
  for (let step = 0; step < 24; step++) {
    const lower = full * (step % 3 === 1 ? 0.4 : 0.5);
    if (lower < score) break;
    full = lower;
  }
  return full;
}

/** The score as the text beside a bar. */
export function format(shown: Shown, score: number): string {
  if (shown === "logits") return minus(score.toFixed(2));
  if (shown === "cosine") return minus(score.toFixed(3));
  const percent = score * 100;
  if (percent > 99.95 && percent < 100) return "> 99.9%";
  if (percent === 0 || (percent > 0.5 && Math.abs(percent - Math.round(percent)) < 1e-9))
    return `${Math.round(percent)}%`;
  if (percent >= 0.995) return `${percent.toFixed(1)}%`;
  if (percent >= 0.005) return `${percent.toFixed(2)}%`;
  return "< 0.01%";
}

const minus = (text: string): string => text.replace("-", "−");
