import { OcelliError } from "../error.js";
import type { Content, Scorer } from "./content.js";
import { readLabelFile } from "./file.js";
import { LabelTexts, templatesOf } from "./texts.js";
import { embedded, LabelSet, listOf, requireNames } from "./label-set.js";
import { learned } from "./learn.js";
import { requireRoom } from "./on-device.js";
import { judging, requireScore } from "./scores.js";
import type { Classification, ClassifyOptions, ImageInput, LabelOptions } from "../types.js";

/** Sets that {@link LabelSets.classify} keeps, by labels and templates. */
const KEPT = 8;

/** Makes a model's sets of labels. */
export class LabelSets {
  readonly #texts: LabelTexts;
  readonly #kept = new Map<string, LabelSet>();

  constructor(private readonly scorer: Scorer) {
    this.#texts = new LabelTexts(scorer);
  }

  async make(names: string[], options: LabelOptions): Promise<LabelSet> {
    requireNames(names);
    return LabelSet.make(this.scorer, await this.#content([...names], options));
  }

  /** With the set that such a call made before, if it is still here. */
  async classify(image: ImageInput, names: string[], options: ClassifyOptions): Promise<Classification[]> {
    const { templates, template, neutral, score, ...how } = options;
    judging(options, "auto", this.scorer.info);
    const key = JSON.stringify([templates, template, neutral, names]);
    const set = this.#kept.get(key) ?? (await this.make(names, { ...options, score: "auto" }));
    // The last one used is the last to go.
    this.#kept.delete(key);
    this.#kept.set(key, set);
    for (const [old, oldest] of this.#kept) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(old);
      oldest.dispose();
    }
    return set.classify(image, score ? { ...how, score } : how);
  }

  /** A set of labels that are pictures, and no texts. */
  async learn(examples: Record<string, Iterable<ImageInput | Float32Array>>, options: LabelOptions): Promise<LabelSet> {
    const names = Object.keys(examples ?? {});
    requireNames(names);
    const pictures = names.map((name) => listOf(examples[name] as Iterable<ImageInput | Float32Array>, name));
    const without = pictures.findIndex((list) => list.length === 0);
    if (without >= 0)
      throw new OcelliError("bad-input", `${names[without]}: expected at least one picture, found none.`);
    let content = await this.#content([], options);
    for (const [i, name] of names.entries()) {
      content = await learned(
        this.scorer,
        content,
        name,
        await embedded(this.scorer, pictures[i] as (ImageInput | Float32Array)[]),
      );
    }
    return LabelSet.make(this.scorer, content);
  }

  async load(file: Blob): Promise<LabelSet> {
    return LabelSet.make(this.scorer, await readLabelFile(file, this.scorer.info));
  }

  /** Lets go of what is kept. */
  dispose(): void {
    for (const set of this.#kept.values()) set.dispose();
    this.#kept.clear();
  }

  async #content(names: string[], options: LabelOptions): Promise<Content> {
    const { score = "auto", neutral = "thing", cache = true } = options;
    const { embeddingDim, defaultScore } = this.scorer.info;
    const templates = templatesOf(options);
    requireScore(score);
    requireNames([neutral]);
    requireRoom(names.length, embeddingDim);
    const texts = defaultScore === "softmax" ? [...names, neutral] : names;
    const rows = await this.#texts.embed(texts, templates, cache);
    const labels = names.map((name, i) => ({ name, text: rows[i], examples: undefined, threshold: undefined }));
    return { labels, neutral: rows[names.length], nothing: undefined, templates, score };
  }
}
