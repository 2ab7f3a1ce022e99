import { embedPictures, split, withPicture } from "./batches.js";
import { aborted, OcelliError, wrap } from "./error.js";
import type { GpuDevice } from "./gpu.js";
import { LabelSet, rank, requireTopK } from "./labels.js";
import { fetchRows } from "./rows.js";
import { load } from "./load.js";
import type { Folder } from "./source/folder.js";
import { cached, clear, storage } from "./source/inventory.js";
import { Missing } from "./source/request.js";
import type { CachedModel, ModelSource, SourceOptions, StorageState } from "./source/types.js";
import type { BatchOptions, Classification, ClassifyOptions, ImageInput, LabelOptions, LoadOptions, ModelInfo, Verification } from "./types.js";
import { start } from "./start.js";
import { requestDevice } from "./tier.js";
import { Engine, type Labels } from "../wasm/ocelli.js";

/** Label embeddings kept for the next call; beyond this the oldest go. */
const CACHED_TEXTS = 4096;

/** Label sets that `classify` keeps, by labels, template and score. */
const CACHED_SETS = 8;

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
  /** What was loaded, and on what. */
  readonly info: ModelInfo;
  readonly #engine: Engine;
  readonly #folder: Folder;
  readonly #texts = new Map<string, Float32Array>();
  readonly #sets = new Map<string, Labels>();
  #running = 0;
  #disposed = false;
  #trouble: OcelliError | undefined;

  private constructor(engine: Engine, device: GpuDevice, folder: Folder) {
    this.#engine = engine;
    this.#folder = folder;
    // Listened to here and not through wgpu, which panics on errors that it does not know.
    device.addEventListener("uncapturederror", (event) => {
      const message = (event as Event & { error?: { message?: string } }).error?.message ?? "unknown error";
      this.#trouble ??= new OcelliError("gpu", `The GPU refused: ${message}`);
    });
    void device.lost.then(({ reason, message }) => {
      if (reason !== "destroyed") {
        this.#trouble = new OcelliError("device-lost", `The GPU went away (${message || "no reason given"}): load the model again.`);
      }
    });
    const { vendor, architecture, description } = device.adapterInfo ?? {};
    const adapter = description || [vendor, architecture].filter(Boolean).join(" ") || "WebGPU";
    this.info = { ...(JSON.parse(engine.info()) as Omit<ModelInfo, "adapter" | "downloadBytes">), adapter, downloadBytes: folder.downloaded };
  }

  /**
   * Loads a model in the layout of Hugging Face (config.json, preprocessor_config.json, tokenizer_config.json, a tokenizer, and
   * model.safetensors or its shards with their index), or in open_clip's own. What came over the network is kept: see
   * {@link SourceOptions.cache}.
   *
   * ```ts
   * const model = await Ocelli.load("hf:google/siglip-base-patch16-224", {
   *   onProgress: ({ loaded, total, rate }) => (bar.value = loaded / total),
   *   signal: stop.signal,
   * });
   * ```
   *
   * @param source Where its files are.
   * @throws {OcelliError} See {@link ErrorCode}.
   */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Ocelli> {
    const { onProgress, format = "none", towers = "both", tokenTable = "memory", wasmUrl, powerPreference = "", tier = "auto", signal } = options;
    try {
      if (signal?.aborted) throw aborted(signal.reason);
      if (tokenTable !== "memory" && tokenTable !== "server") {
        throw new OcelliError("bad-input", `tokenTable: expected "memory" or "server", found ${String(tokenTable)}.`);
      }
      await requireWebGpu();
      await start(wasmUrl);
      const { engine, handle, folder } = await load(source, requestDevice(powerPreference, tier), { ...options, towers, format, tokenTable, onProgress, signal });
      return new Ocelli(engine, handle, folder);
    } catch (error) {
      throw wrap(error);
    }
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
   * Forgets what loads of a source have kept, or without one everything.
   *
   * ```ts
   * await Ocelli.clear("hf:google/siglip-base-patch16-224");
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
   * @param options `persist` asks the browser never to clear it by itself; some browsers ask the user.
   */
  static storage(options: { persist?: boolean } = {}): Promise<StorageState> {
    return storage(options.persist ?? false);
  }

  /**
   * Ranks labels for a picture, best first.
   *
   * ```ts
   * await model.classify(image, ["cat", "dog"], { template: "a photo of a {}.", topK: 1 });
   * ```
   */
  async classify(image: ImageInput, labels: string[], options: ClassifyOptions = {}): Promise<Classification[]> {
    const { topK = Infinity } = options;
    requireLabels(labels);
    requireTopK(topK);
    const names = [...labels];
    return this.#run(async (engine) => {
      const set = await this.#cachedLabels(engine, names, options);
      return rank(names, await scores(engine, set, image), topK);
    });
  }

  /**
   * Labels for many pictures: their embeddings stay on the GPU.
   *
   * ```ts
   * const set = await model.labels(["cat", "dog"], { template: "a photo of a {}." });
   * const [best] = await set.classify(image);
   * ```
   */
  async labels(names: string[], options: LabelOptions = {}): Promise<LabelSet> {
    requireLabels(names);
    const own = [...names];
    const set = await this.#run((engine) => this.#labels(engine, own, options));
    return new LabelSet(own, (image) => this.#run((engine) => scores(engine, set, image)));
  }

  /** The picture's embedding: {@link ModelInfo.embeddingDim} numbers, unit length. */
  embedImage(image: ImageInput): Promise<Float32Array> {
    return this.#run((engine) =>
      withPicture(image, async (pixels) => {
        engine.putImage(pixels, 0);
        return engine.read(engine.runImages(1));
      }),
    );
  }

  /**
   * An embedding for each picture, in order: several at a time on the GPU, while the next ones are decoded. Few decoded pictures
   * are in memory at once, however many there are.
   *
   * ```ts
   * const embeddings = await model.embedImages(input.files, { onProgress: (done) => (bar.value = done) });
   * ```
   *
   * @throws {OcelliError} With code `bad-image` and a message that says which picture it is by its index: `images[11]: …`.
   */
  embedImages(images: Iterable<ImageInput>, options: BatchOptions = {}): Promise<Float32Array[]> {
    return this.#run((engine) => embedPictures(engine, images, this.info.embeddingDim, options));
  }

  /** The text's embedding: {@link ModelInfo.embeddingDim} numbers, unit length. */
  async embedText(text: string): Promise<Float32Array> {
    requireString(text);
    return this.#run((engine) => embedTexts(engine, [text], this.#folder));
  }

  /** An embedding for each text, in order. */
  async embedTexts(texts: string[]): Promise<Float32Array[]> {
    if (!Array.isArray(texts)) throw new OcelliError("bad-input", "texts: expected an array of strings.");
    texts.forEach(requireString);
    return this.#run(async (engine) => split(await embedTexts(engine, texts, this.#folder), this.info.embeddingDim));
  }

  /** The token ids that the text tower is fed, padding included. */
  async tokenize(text: string): Promise<Uint32Array> {
    requireString(text);
    return this.#run(async (engine) => engine.tokenize(text));
  }

  /** The square that the picture tower sees, after resize and crop: for looking at, and for tests. */
  async preprocess(image: ImageInput): Promise<ImageData> {
    return this.#run(async (engine) => {
      const bytes = await withPicture(image, (pixels) => engine.preprocess(pixels));
      const side = this.info.imageSize;
      return new ImageData(new Uint8ClampedArray(bytes), side, side);
    });
  }

  /**
   * Whether this very device computes rightly: every kernel against its naive twin on the CPU; and, if the model's folder has
   * the goldens.json that `ocelli quantize` writes, every step of both towers. Takes a few seconds.
   */
  async verify(): Promise<Verification> {
    return this.#run(async (engine) => {
      const goldens = await this.#folder.whole(Engine.goldensFile(), new AbortController().signal).catch((error: unknown) => {
        if (!(error instanceof Missing)) throw error;
        return undefined;
      });
      return { ...(JSON.parse(await engine.verify(goldens)) as Verification), adapter: this.info.adapter };
    });
  }

  /** Frees the GPU's memory, after calls that are under way. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#texts.clear();
    this.#sets.clear();
    if (this.#running === 0) this.#engine.free();
  }

  async #cachedLabels(engine: Engine, labels: string[], options: LabelOptions): Promise<Labels> {
    const { template, score } = options;
    const key = JSON.stringify([template, score, labels]);
    const set = this.#sets.get(key) ?? (await this.#labels(engine, labels, options));
    // The last one used is the last to go.
    this.#sets.delete(key);
    this.#sets.set(key, set);
    for (const old of this.#sets.keys()) {
      if (this.#sets.size <= CACHED_SETS) break;
      this.#sets.delete(old);
    }
    return set;
  }

  async #labels(engine: Engine, labels: string[], { template, score = "auto" }: LabelOptions): Promise<Labels> {
    return engine.labels(await this.#embedTexts(engine, Engine.prompts(labels, template)), score);
  }

  async #embedTexts(engine: Engine, prompts: string[]): Promise<Float32Array> {
    const dim = this.info.embeddingDim;
    const missing = [...new Set(prompts)].filter((prompt) => !this.#texts.has(prompt));
    const fresh = new Map<string, Float32Array>();
    if (missing.length > 0) {
      const embeddings = await embedTexts(engine, missing, this.#folder);
      missing.forEach((prompt, i) => fresh.set(prompt, embeddings.slice(i * dim, (i + 1) * dim)));
    }
    const all = new Float32Array(prompts.length * dim);
    prompts.forEach((prompt, i) => {
      const embedding = fresh.get(prompt) ?? this.#texts.get(prompt);
      if (embedding) all.set(embedding, i * dim);
    });
    for (const [prompt, embedding] of fresh) this.#texts.set(prompt, embedding);
    for (const prompt of this.#texts.keys()) {
      if (this.#texts.size <= CACHED_TEXTS) break;
      this.#texts.delete(prompt);
    }
    return all;
  }

  async #run<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    if (this.#disposed) throw new OcelliError("disposed", "This model was disposed of: load it again.");
    if (this.#trouble?.code === "device-lost" || this.#trouble?.code === "internal") throw this.#trouble;
    this.#running += 1;
    try {
      const result = await work(this.#engine);
      if (this.#trouble) throw this.#takeTrouble();
      return result;
    } catch (error) {
      const wrapped = wrap(error);
      // After a trap nothing in this instance can be relied on.
      if (wrapped.code === "internal") this.#trouble = wrapped;
      throw this.#trouble ? this.#takeTrouble() : wrapped;
    } finally {
      this.#running -= 1;
      if (this.#disposed && this.#running === 0) this.#engine.free();
    }
  }

  /** What the GPU complained about; only what lasts is kept. */
  #takeTrouble(): OcelliError {
    const trouble = this.#trouble as OcelliError;
    if (trouble.code === "gpu") this.#trouble = undefined;
    return trouble;
  }
}

/** Fetches the rows of the token table that are not here, and embeds. */
async function embedTexts(engine: Engine, texts: string[], folder: Folder): Promise<Float32Array> {
  await fetchRows(engine, texts, folder);
  return engine.embedTexts(texts);
}

function requireString(text: unknown): void {
  if (typeof text !== "string") throw new OcelliError("bad-input", `text: expected a string, found ${typeof text}.`);
}

function requireLabels(labels: unknown): void {
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every((label) => typeof label === "string")) {
    throw new OcelliError("bad-input", "labels: expected an array of at least one string.");
  }
}

function scores(engine: Engine, labels: Labels, image: ImageInput): Promise<Float32Array> {
  return withPicture(image, async (pixels) => engine.read(engine.classify(labels, pixels)));
}

async function requireWebGpu(): Promise<void> {
  if (globalThis.isSecureContext === false) {
    throw new OcelliError("insecure-context", "WebGPU needs a secure page: serve it over https, or from localhost.");
  }
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: { requestAdapter(): Promise<unknown> } };
  if (!gpu) {
    throw new OcelliError("no-webgpu", "This browser has no WebGPU: use a current Chrome, Edge, Safari or Firefox.");
  }
  // Asked here first, because wgpu's own words for an absent adapter help nobody.
  if (!(await gpu.requestAdapter())) {
    throw new OcelliError(
      "no-webgpu",
      "This browser has WebGPU, but gives no GPU for it: turn graphics acceleration on in its settings, or update the graphics driver.",
    );
  }
}
