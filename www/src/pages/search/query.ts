import type { Ocelli } from "ocelli";

/** What is looked for: words, a picture from anywhere, or what resembles a picture of the collection. */
export type Query = { words: string } | { picture: Blob; name: string } | { like: string };

/** Less than this is no direction, but what rounding left of one. */
const NOTHING = 1e-3;

/** Words as typed, and those that must not be in the picture: "animal -dog". */
export function parse(typed: string): { wanted: string; unwanted: string[] } {
  const words = typed.trim().split(/\s+/).filter(Boolean);
  const isOff = (word: string) => word.length > 1 && word.startsWith("-");
  return { wanted: words.filter((word) => !isOff(word)).join(" "), unwanted: words.filter(isOff).map((word) => word.slice(1)) };
}

/** What is wrong with a sentence for words; undefined if nothing is. */
export function wrongSentence(sentence: string): string | undefined {
  return sentence.trim() === "" || sentence.includes("{}") ? undefined : "Put {} where the words belong, or leave this empty.";
}

/** The direction of the words, less what it shares with those that are not wanted; undefined where nothing is left. */
export async function directionOf(typed: string, sentence: string, model: Ocelli): Promise<Float32Array | undefined> {
  const { wanted, unwanted } = parse(typed);
  if (!wanted) return undefined;
  const put = (words: string) => (sentence.trim() ? sentence.replaceAll("{}", () => words) : words);
  const [towards = new Float32Array(), ...off] = await model.embedTexts([wanted, ...unwanted].map(put));
  const left = off.reduce((vector, one) => {
    const shared = dot(vector, one);
    return vector.map((value, i) => value - shared * (one[i] as number));
  }, towards);
  return Math.sqrt(dot(left, left)) < NOTHING ? undefined : left;
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}
