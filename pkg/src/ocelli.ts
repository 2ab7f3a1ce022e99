/// <reference lib="esnext.disposable" preserve="true" />
import { embedPictures, split } from "./pictures/batches.js";
import { embedTexts } from "./embed-texts.js";
import { OcelliError } from "./error.js";
import { LabelSets, type LabelSet } from "./labels/index.js";
import { loadModel } from "./load-model.js";
import type { Model } from "./model.js";
import { cached, clear, storage } from "./source/inventory.js";
import type { CachedModel, ModelSource, SourceOptions, StorageState } from "./source/types.js";
import type {
  BatchOptions,
  CallOptions,
  Classification,
  ClassifyOptions,
  ImageInput,
  LabelOptions,
  LoadOptions,
  ModelEvents,
  ModelInfo,
  Verification,
} from "./types.js";

/**
 * A loaded model.
 *
 * ```ts
 * const model = await Ocelli.load("/models/ocelli-tiny/");
 * const [best] = await model.classify(file, ["a cat", "a dog"]);
 * console.log(best.label, best.score);
 * ```
 */
export class Ocelli {
  readonly #model: Model;
  readonly #labels: LabelSets;

  private constructor(model: Model) {
    this.#model = model;
    this.#labels = new LabelSets(model);
  }

  /** What was loaded, and on what. */
  get info(): ModelInfo {
    return this.#model.info;
  }

  /**
   * Loads a model in the layout of Hugging Face (config.json, preprocessor_config.json, tokenizer_config.json, a tokenizer, and
   * model.safetensors or its shards with their index, or PyTorch's own pytorch_model.bin), or in open_clip's own. What came over the network is kept: see
   * {@link SourceOptions.cache}.
   *
   * ```ts
   * const model = await Ocelli.load("hf:google/siglip-base-patch16-224", {
   *   onProgress: ({ fraction = 0 }) => (bar.value = fraction),
   *   signal: stop.signal,
   * });
   * ```
   *
   * @param source Where its files are.
   * @throws {OcelliError} With code `wrong-model` if it is a model that writes, which `Vlm.load` of `ocelli/vlm` loads; else see
   * {@link ErrorCode}.
   */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Ocelli> {
    return new Ocelli(await loadModel(source, options));
  }

  /**
   * What earlier loads have kept, whole or in part.
   *
   * ```ts
   * for (const { url, bytes, when } of await Ocelli.cached()) console.log(url, bytes, when);
   * ```
   *
   * @param options `cache`, if loads were given one.
   */
  static cached(options: SourceOptions = {}): Promise<CachedModel[]> {
    return cached(options);
  }

  /**
   * Forgets what loads of a source have kept, or without one everything: then the embeddings of labels go as well
   * ({@link LabelOptions.cache}). They belong to a model wherever it comes from, so they stay if a source is given.
   *
   * ```ts
   * await Ocelli.clear("hf:google/siglip-base-patch16-224");
   * await Ocelli.clear();
   * ```
   *
   * @param source A folder's address, or a repository, of which all revisions go.
   * @param options `cache` and `endpoint`, if loads were given any.
   */
  static clear(source?: string | URL, options: SourceOptions = {}): Promise<void> {
    return clear(source, options);
  }

  /**
   * How much this site stores and may store.
   *
   * ```ts
   * const { usage, quota } = await Ocelli.storage({ persist: true });
   * ```
   *
   * @param options `persist` asks the browser never to clear it automatically; some browsers ask the user.
   */
  static storage(options: { persist?: boolean } = {}): Promise<StorageState> {
    return storage(options.persist ?? false);
  }

  /**
   * Listens to what happens without a call: `devicelost` when the GPU goes away or the engine fails, `restored` when the model was
   * loaded again, which the next call does. Returns how to stop listening.
   */
  on<E extends keyof ModelEvents>(event: E, listener: (info: ModelInfo) => void): () => void {
    return this.#model.on(event, listener);
  }

  /**
   * Ranks labels for an image, best first.
   *
   * ```ts
   * await model.classify(image, ["cat", "dog"], { template: "a photo of a {}.", topK: 1 });
   * ```
   */
  classify(image: ImageInput, labels: string[], options: ClassifyOptions = {}): Promise<Classification[]> {
    return this.#model.call(options, () => this.#labels.classify(image, labels, options));
  }

  /**
   * Labels for many images: their embeddings stay on the GPU.
   *
   * ```ts
   * const set = await model.labels(["cat", "dog"], { template: "a photo of a {}." });
   * const [best] = await set.classify(image);
   * ```
   */
  labels(names: string[], options: LabelOptions = {}): Promise<LabelSet> {
    return this.#model.call(options, () => this.#labels.make(names, options));
  }

  /**
   * Labels that are taught by images alone, without a word of text. See {@link LabelSet.learn}, which adds to any set.
   *
   * ```ts
   * const set = await model.learn({ "my cup": files, "her cup": others });
   * const [best] = await set.classify(image);
   * ```
   */
  learn(examples: Record<string, Iterable<ImageInput | Float32Array>>, options: LabelOptions = {}): Promise<LabelSet> {
    return this.#model.call(options, () => this.#labels.learn(examples, options));
  }

  /**
   * Labels from the file that {@link LabelSet.save} made, with all that they were taught. Needs no text tower.
   *
   * ```ts
   * const set = await model.loadLabels(await (await fetch("/labels.safetensors")).blob());
   * ```
   *
   * @throws {OcelliError} With code `wrong-model` if another model made them, or `bad-input` for another file.
   */
  loadLabels(file: Blob): Promise<LabelSet> {
    return this.#model.call({}, () => this.#labels.load(file));
  }

  /** The image's embedding: {@link ModelInfo.embeddingDim} numbers, unit length. */
  embedImage(image: ImageInput, options: CallOptions = {}): Promise<Float32Array> {
    return this.#model.call(options, (core) => core.embedImages([image], options.signal));
  }

  /**
   * An embedding for each image, in order: several at a time on the GPU, while the next ones are decoded. Few decoded images
   * are in memory at once, however many there are.
   *
   * ```ts
   * const embeddings = await model.embedImages(input.files, { onProgress: (done) => (bar.value = done) });
   * ```
   *
   * @throws {OcelliError} With code `bad-image` and a message that says which image it is by its index: `images[11]: …`.
   */
  embedImages(
    images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
    options: BatchOptions = {},
  ): Promise<Float32Array[]> {
    return this.#model.call(options, (core) => embedPictures(core, images, this.info.embeddingDim, options));
  }

  /** The text's embedding: {@link ModelInfo.embeddingDim} numbers, unit length. */
  async embedText(text: string, options: CallOptions = {}): Promise<Float32Array> {
    requireString(text);
    return this.#model.call(options, (core) => core.embedTexts([text]));
  }

  /** An embedding for each text, in order. */
  async embedTexts(texts: string[], options: CallOptions = {}): Promise<Float32Array[]> {
    if (!Array.isArray(texts)) throw new OcelliError("bad-input", "texts: expected an array of strings.");
    texts.forEach(requireString);
    return this.#model.call(options, async (core) =>
      split(await embedTexts(core, texts, options.signal), this.info.embeddingDim),
    );
  }

  /** The token ids that the text tower is fed, padding included. */
  async tokenize(text: string, options: CallOptions = {}): Promise<Uint32Array> {
    requireString(text);
    return this.#model.call(options, (core) => core.tokenize(text));
  }

  /** What the image tower sees, after resize and crop: for looking at, and for tests. */
  async preprocess(image: ImageInput, options: CallOptions = {}): Promise<ImageData> {
    return this.#model.call(options, (core) => core.preprocess(image, options.signal));
  }

  /**
   * Whether this device computes correctly: every kernel against its naive twin on the CPU; and, if the model's folder has
   * the goldens.json that `ocelli quantize` writes, every step of both towers. Takes a few seconds.
   */
  async verify(options: CallOptions = {}): Promise<Verification> {
    return this.#model.call(options, (core) => core.verify());
  }

  /** Frees the GPU's memory, after calls that are under way; a worker ends with it. */
  dispose(): void {
    this.#labels.dispose();
    this.#model.dispose();
  }

  /** For `using model = await Ocelli.load(…)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function requireString(text: unknown): void {
  if (typeof text !== "string") throw new OcelliError("bad-input", `text: expected a string, found ${typeof text}.`);
}
