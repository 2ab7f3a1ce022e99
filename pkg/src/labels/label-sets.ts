import { aborted, OcelliError } from "../error.js";
import type { Model } from "../model.js";
import type { Classification, ClassifyOptions, ImageInput, LabelOptions } from "../types.js";
import { learned, type Content } from "./content.js";
import { listOf } from "./examples.js";
import { readLabelFile } from "./file.js";
import { KeptSets } from "./kept-sets.js";
import { embedded, LabelSet, requireNames } from "./label-set.js";
import { requireRoom } from "./on-device.js";
import { judging, requireScore } from "./scores.js";
import { LabelTexts, templatesOf } from "./texts.js";

/** Makes a model's sets of labels; all of it in calls of the model's. */
export class LabelSets {
  readonly #texts: LabelTexts;
  /** By labels and templates. Calls that come while a set is made wait for the same one. */
  readonly #kept = new KeptSets<LabelSet>();

  constructor(private readonly model: Model) {
    this.#texts = new LabelTexts(model, { mean: "unit", cut: false });
  }

  /** A set for its caller alone; if that one has stopped waiting, it is freed. */
  async make(names: string[], options: LabelOptions): Promise<LabelSet> {
    requireNames(names);
    return this.#made(await this.#content([...names], options), options);
  }

  /** With the set that such a call made before, if it is still here. */
  async classify(image: ImageInput, names: string[], options: ClassifyOptions): Promise<Classification[]> {
    const { signal, ...rest } = options;
    const { templates, template, neutral, score, ...how } = rest;
    judging(options, "auto", this.model.info);
    const key = JSON.stringify([templates, template, neutral, names]);
    const making = this.#kept.keep(key, (stop) => this.make(names, { ...rest, score: "auto", signal: stop }));
    const set = await making.wait(signal, "call");
    return set.ranked(image, { ...how, ...(score && { score }), ...(signal && { signal }) });
  }

  /** A set of labels that are images, and no texts. */
  async learn(examples: Record<string, Iterable<ImageInput | Float32Array>>, options: LabelOptions): Promise<LabelSet> {
    const names = Object.keys(examples ?? {});
    requireNames(names);
    const pictures = names.map((name) => listOf(examples[name] as Iterable<ImageInput | Float32Array>, name));
    const without = pictures.findIndex((list) => list.length === 0);
    if (without >= 0) throw new OcelliError("bad-input", `${names[without]}: expected at least one image, found none.`);
    let content = await this.#content([], options);
    for (const [i, name] of names.entries()) {
      const embeddings = await embedded(this.model, pictures[i] as (ImageInput | Float32Array)[]);
      content = await learned(this.model, content, name, embeddings);
    }
    return this.#made(content, options);
  }

  async load(file: Blob): Promise<LabelSet> {
    return LabelSet.make(this.model, await readLabelFile(file, this.model.info));
  }

  /** Lets go of what is kept, after calls that are under way. */
  dispose(): void {
    this.#kept.dispose();
  }

  async #made(content: Content, { signal }: LabelOptions): Promise<LabelSet> {
    const set = await LabelSet.make(this.model, content);
    if (!signal?.aborted) return set;
    set.dispose();
    throw aborted(signal.reason, "call");
  }

  async #content(names: string[], options: LabelOptions): Promise<Content> {
    const { score = "auto", neutral = "thing", cache = true } = options;
    const { embeddingDim, defaultScore } = this.model.info;
    const templates = templatesOf(options);
    requireScore(score);
    requireNames([neutral]);
    requireRoom(names.length, embeddingDim);
    const texts = defaultScore === "softmax" ? [...names, neutral] : names;
    const rows = await this.#texts.embed(texts, templates, cache, options.signal);
    const text = (i: number) => rows[i]?.embedding;
    const labels = names.map((name, i) => ({ name, text: text(i), examples: undefined, threshold: undefined }));
    return { labels, neutral: text(names.length), nothing: undefined, templates, score };
  }
}
