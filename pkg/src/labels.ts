import { OcelliError } from "./error.js";
import type { Classification, ImageInput, RankOptions } from "./types.js";

/**
 * Labels whose embeddings stay on the GPU: the text tower runs once, and 1,000 labels cost a picture what two do. The memory
 * goes with the set, or with its model.
 *
 * ```ts
 * const set = await model.labels(["cat", "dog"], { template: "a photo of a {}." });
 * for (const file of files) console.log(await set.classify(file, { topK: 1 }));
 * ```
 */
export class LabelSet {
  /** The labels as given. */
  readonly names: readonly string[];
  readonly #scores: (image: ImageInput) => Promise<Float32Array>;

  /** For {@link Ocelli.labels}, which makes them. */
  constructor(names: readonly string[], scores: (image: ImageInput) => Promise<Float32Array>) {
    this.names = names;
    this.#scores = scores;
  }

  /**
   * Ranks the labels for a picture, best first.
   *
   * @throws {OcelliError} With code `disposed` once the model was disposed of.
   */
  async classify(image: ImageInput, { topK = Infinity }: RankOptions = {}): Promise<Classification[]> {
    requireTopK(topK);
    return rank(this.names, await this.#scores(image), topK);
  }
}

/** Best first; equal scores stay in the order given. */
export function rank(names: readonly string[], scores: Float32Array, topK: number): Classification[] {
  const score = (index: number) => scores[index] as number;
  const order = [...names.keys()].sort((a, b) => score(b) - score(a)).slice(0, topK);
  return order.map((index) => ({ label: names[index] as string, index, score: score(index) }));
}

export function requireTopK(topK: number): void {
  if (!(topK >= 1)) throw new OcelliError("bad-input", `topK: expected at least 1, found ${topK}.`);
}
