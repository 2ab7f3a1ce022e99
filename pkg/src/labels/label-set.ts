import { labelsDisposed, OcelliError } from "../error.js";
import type { Model } from "../model.js";
import { embeddedBatches, embedPictures, type Embedder } from "../pictures/batches.js";
import { Turns } from "../turns.js";
import type { Calibration, Classification, Example, ImageInput, RankOptions } from "../types.js";
import { learned, type Content, type Label } from "./content.js";
import { examplesOf, listOf } from "./examples.js";
import { writeLabelFile } from "./file.js";
import { OnDevice } from "./on-device.js";
import { calibrated, judging, ownLogits, rank, scoresOf, type Judging } from "./scores.js";

/**
 * Labels whose embeddings stay on the GPU: the text tower runs once, and 1,000 labels cost an image what two do. The memory
 * goes with the set, with its model, or with {@link LabelSet.dispose}.
 *
 * ```ts
 * const set = await model.labels(["cat", "dog"], { template: "a photo of a {}." });
 * for (const file of files) console.log(await set.classify(file, { topK: 1 }));
 * ```
 */
export class LabelSet {
  readonly #model: Model;
  #content: Content;
  #device: OnDevice;
  /** Changes come one after the other. */
  readonly #turns = new Turns();
  #disposed = false;

  private constructor(model: Model, content: Content, device: OnDevice) {
    this.#model = model;
    this.#content = content;
    this.#device = device;
  }

  /** @internal In a call of the model's, like all that is internal here. */
  static async make(model: Model, content: Content): Promise<LabelSet> {
    return new LabelSet(model, content, await OnDevice.make(model, content));
  }

  /** The labels in order: those given, then those that {@link LabelSet.learn} added. */
  get names(): readonly string[] {
    return this.#content.labels.map(({ name }) => name);
  }

  /**
   * Ranks the labels for an image, best first.
   *
   * ```ts
   * const tags = await set.classify(file, { multiLabel: true, threshold: 0.5 });
   * ```
   *
   * @throws {OcelliError} With code `disposed` once the set or the model was disposed of.
   */
  async classify(image: ImageInput, options: RankOptions = {}): Promise<Classification[]> {
    return this.#model.call(options, () => this.ranked(image, options));
  }

  /** @internal */
  async ranked(image: ImageInput, options: RankOptions): Promise<Classification[]> {
    const how = this.#judging(options);
    const content = this.#content;
    return this.#rank(content, await this.#here().cosines(image, options.signal), how);
  }

  /**
   * Ranks the labels for many images, in order: several images at a time, and the next ones while you look at the last.
   *
   * ```ts
   * for await (const [best] of set.classifyAll(files)) console.log(best?.label);
   * ```
   *
   * @throws {OcelliError} With code `bad-image` and a message that says which image it is by its index: `images[11]: …`.
   */
  async *classifyAll(
    images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
    options: RankOptions = {},
  ): AsyncGenerator<Classification[], void, undefined> {
    const how = this.#judging(options);
    const model = this.#model;
    // A call for each batch: the caller may leave off in between, and nothing must wait for that.
    const embedder: Embedder = {
      imageBatch: () => model.call(options, (core) => core.imageBatch()),
      embedImages: (batch, signal) => model.call(options, (core) => core.embedImages(batch, signal)),
    };
    for await (const batch of embeddedBatches(embedder, images, model.info.embeddingDim, options.signal)) {
      for (const embedding of batch) yield this.#score(embedding, how);
    }
  }

  /**
   * Ranks the labels for an embedding that is at hand, as {@link Ocelli.embedImage} makes them.
   *
   * ```ts
   * const [best] = set.score(await model.embedImage(file));
   * ```
   */
  score(embedding: Float32Array, options: RankOptions = {}): Classification[] {
    requireEmbedding(embedding, this.#model.info.embeddingDim, "embedding");
    return this.#score(embedding, this.#judging(options));
  }

  /**
   * Finds a threshold for each label from images of your own: the one with the best F1, the balance of what is found and what
   * is right. From then on `classify` with `multiLabel` leaves out what is below. Twenty images are a start; a label that none of
   * them has gets the median of the others' thresholds.
   *
   * ```ts
   * await set.calibrate([{ image: file, labels: ["cat", "sofa"] }, { image: other, labels: [] }]);
   * const tags = await set.classify(third, { multiLabel: true });
   * ```
   *
   * @returns What was found, in the order of {@link LabelSet.names}.
   */
  async calibrate(examples: Iterable<Example>): Promise<Calibration[]> {
    const all = examplesOf(examples, this.names);
    this.#judging({ multiLabel: true });
    const model = this.#model;
    return model.call({}, async () => {
      const embeddings = await embedded(
        model,
        all.map(({ image }) => image),
      );
      let found: Calibration[] = [];
      await this.#change(async (content) => {
        const logits = embeddings.map((embedding) => {
          const { cosines, neutral } = this.#split(content, this.#device.cosinesWith(embedding));
          return ownLogits(cosines, neutral, model.info);
        });
        const now = content.labels.map(({ name }) => name);
        found = calibrated(
          now,
          logits,
          all.map(({ labels }) => now.map((name) => labels.includes(name))),
        );
        return { ...content, labels: content.labels.map((label, i) => ({ ...label, threshold: found[i]?.threshold })) };
      });
      return found;
    });
  }

  /**
   * Teaches a label by images, at once and on this device: an existing one, whose text is then blended with what the images
   * have in common; or a new one, for which there are no words. A few images are enough; more can come later. A threshold that
   * the label had from {@link LabelSet.calibrate} goes, because its scores change.
   *
   * ```ts
   * await set.learn("my cup", files);
   * ```
   *
   * @param images Images, or their embeddings.
   */
  async learn(label: string, images: Iterable<ImageInput | Float32Array>): Promise<void> {
    requireNames([label]);
    const pictures = listOf(images, "images");
    if (pictures.length === 0) throw new OcelliError("bad-input", "images: expected at least one image, found none.");
    const model = this.#model;
    await model.call({}, async () => {
      const embeddings = await embedded(model, pictures);
      await this.#change((content) => learned(model, content, label, embeddings));
    });
  }

  /**
   * Forgets what a label was taught by images: it is its text again, or, if it has none, it goes.
   *
   * @throws {OcelliError} With code `bad-input` for a label that is not here, or the last one.
   */
  async forget(label: string): Promise<void> {
    const change = async (content: Content) => {
      if (!content.labels.some(({ name }) => name === label)) {
        throw new OcelliError("bad-input", `label: expected one of this set, found ${JSON.stringify(label)}.`);
      }
      const forgotten = (one: Label) =>
        one.name === label && one.examples ? { ...one, examples: undefined, threshold: undefined } : one;
      const labels = content.labels.map(forgotten).filter(({ text, examples }) => text || examples);
      if (labels.length === 0)
        throw new OcelliError(
          "bad-input",
          `label: ${JSON.stringify(label)} is the only one of this set: learn another one first.`,
        );
      return { ...content, labels };
    };
    await this.#model.call({}, () => this.#change(change));
  }

  /**
   * All of it as a small file: names, templates, embeddings, what was learned, and thresholds. For {@link Ocelli.loadLabels}, with the
   * same model. It is a safetensors file, which Python reads, too.
   */
  save(): Blob {
    return writeLabelFile(this.#content, this.#model.info);
  }

  /** Frees the memory on the GPU, after calls that are under way. */
  dispose(): void {
    this.#disposed = true;
    this.#device.release();
  }

  #here(): OnDevice {
    if (this.#disposed) throw labelsDisposed();
    return this.#device;
  }

  #judging(options: RankOptions): Judging {
    const how = judging(options, this.#content.score, this.#model.info);
    if (how.rule === "own" && this.#model.info.defaultScore === "softmax" && !this.#content.neutral) {
      throw new OcelliError(
        "bad-input",
        'multiLabel: expected a neutral text to compare with, found none: make these labels with the text tower, towers: "both".',
      );
    }
    return how;
  }

  #score(embedding: Float32Array, how: Judging): Classification[] {
    return this.#rank(this.#content, this.#here().cosinesWith(embedding), how);
  }

  #rank(content: Content, all: Float32Array, { rule, threshold, topK }: Judging): Classification[] {
    const { cosines, neutral } = this.#split(content, all);
    const least = (index: number) =>
      threshold ?? (rule === "own" ? content.labels[index]?.threshold : undefined) ?? -Infinity;
    const names = content.labels.map(({ name }) => name);
    return rank(names, scoresOf(cosines, neutral, rule, this.#model.info), least, topK);
  }

  /** The neutral text's row is the last one. */
  #split({ labels }: Content, all: Float32Array): { cosines: Float32Array; neutral: number | undefined } {
    return { cosines: all.subarray(0, labels.length), neutral: all[labels.length] };
  }

  #change(work: (content: Content) => Promise<Content>): Promise<void> {
    return this.#turns.take(async () => {
      this.#here();
      const content = await work(this.#content);
      const device = await OnDevice.make(this.#model, content);
      this.#device.release();
      this.#device = device;
      this.#content = content;
      if (this.#disposed) device.release();
    });
  }
}

/** @throws {OcelliError} With code `bad-input` for what are no labels. */
export function requireNames(labels: unknown): asserts labels is string[] {
  if (
    !Array.isArray(labels) ||
    labels.length === 0 ||
    !labels.every((label) => typeof label === "string" && label !== "")
  ) {
    const wrong = Array.isArray(labels)
      ? JSON.stringify(labels.find((label) => typeof label !== "string" || label === "") ?? [])
      : typeof labels;
    throw new OcelliError(
      "bad-input",
      `labels: expected an array of at least one string, none of them empty, found ${wrong}.`,
    );
  }
}

/** Images become embeddings; what is one already stays. */
export async function embedded(model: Model, things: (ImageInput | Float32Array)[]): Promise<Float32Array[]> {
  const dim = model.info.embeddingDim;
  const images = things.filter((thing): thing is ImageInput => !(thing instanceof Float32Array));
  things.forEach((thing, i) => thing instanceof Float32Array && requireEmbedding(thing, dim, `images[${i}]`));
  const made = (images.length > 0 ? await embedPictures(model.core, images, dim) : []).values();
  return things.map((thing) => (thing instanceof Float32Array ? thing : (made.next().value as Float32Array)));
}

function requireEmbedding(embedding: unknown, dim: number, what: string): asserts embedding is Float32Array {
  if (!(embedding instanceof Float32Array) || embedding.length !== dim) {
    throw new OcelliError(
      "bad-input",
      `${what}: expected a Float32Array of ${dim} numbers, found ${(embedding as ArrayLike<number> | null)?.length ?? typeof embedding}.`,
    );
  }
}
