import type { Ocelli } from "ocelli";

/** What is looked for: words, a picture from anywhere, or what resembles a picture of the collection. */
export type Query = { words: string } | { picture: Blob; name: string } | { like: string };

/** A shorter one is no direction, but what rounding left of none. */
const NOTHING = 1e-3;

/** Words as typed, and those that must not be in the picture: "animal -dog". */
export function parse(typed: string): { wanted: string; unwanted: string[] } {
  const words = typed.trim().split(/\s+/).filter(Boolean);
  const isOff = (word: string) => word.length > 1 && word.startsWith("-");
  return {
    wanted: words.filter((word) => !isOff(word)).join(" "),
    unwanted: words.filter(isOff).map((word) => word.slice(1)),
  };
}

/** What is wrong with a sentence for words; undefined if nothing is. */
export function wrongSentence(sentence: string): string | undefined {
  return sentence.trim() === "" || sentence.includes("{}")
    ? undefined
    : "Put {} where the words belong, or leave this empty.";
}

/** Where a query points to among embeddings. */
export interface Direction {
  vector: Float32Array;
  /** What the words say without those that are not wanted; undefined for a picture. */
  wanted?: Float32Array | undefined;
}

/**
 * From what is not wanted to what is: pictures that are as near to both come after those near to the words alone. Undefined where that
 * leads nowhere.
 */
export async function directionOf(typed: string, sentence: string, model: Ocelli): Promise<Direction | undefined> {
  const { wanted: words, unwanted } = parse(typed);
  if (!words) return undefined;
  const put = (words: string) => (sentence.trim() ? sentence.replaceAll("{}", () => words) : words);
  const [wanted, ...off] = await model.embedTexts([words, ...unwanted].map(put));
  const vector = wanted?.map((value, i) => off.reduce((left, one) => left - (one[i] ?? 0), value));
  return vector && Math.hypot(...vector) > NOTHING ? { vector, wanted } : undefined;
}
