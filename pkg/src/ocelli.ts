import { embedPictures, split, withPicture } from "./batches.js";
import { aborted, OcelliError, wrap } from "./error.js";
import type { GpuDevice } from "./gpu.js";
import { LabelSets } from "./label-sets.js";
import type { LabelSet } from "./labels.js";
import { fetchRows } from "./rows.js";
import { load } from "./load.js";
import { Missing, RemoteFolder } from "./remote.js";
import type { BatchOptions, Classification, ClassifyOptions, ImageInput, LabelOptions, LoadOptions, ModelInfo, Verification } from "./types.js";
import { folderUrl, start } from "./start.js";
import { requestDevice } from "./tier.js";
import { Engine } from "../wasm/ocelli.js";

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
  readonly #folder: URL;
  readonly #labels: LabelSets;
  #running = 0;
  #disposed = false;
  #trouble: OcelliError | undefined;

  private constructor(engine: Engine, device: GpuDevice, folder: URL, downloadBytes: number) {
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
    this.info = { ...(JSON.parse(engine.info()) as Omit<ModelInfo, "adapter" | "downloadBytes">), adapter, downloadBytes };
    this.#labels = new LabelSets({
      info: this.info,
      embedTexts: (texts) => this.#run((engine) => embedTexts(engine, texts, folder)),
      embedImages: (images, options = {}, first = 0) => this.#run((engine) => embedPictures(engine, images, this.info.embeddingDim, options, first)),
      matrix: (rows) =>
        this.#run(async (engine) => {
          const labels = engine.labels(rows, "cosine");
          const cosines = (image: ImageInput) => this.#run((engine) => withPicture(image, async (pixels) => engine.read(engine.classify(labels, pixels))));
          return { cosines, free: () => labels.free() };
        }),
    });
  }

  /**
   * Loads a model folder in the layout of Hugging Face (config.json, preprocessor_config.json, tokenizer_config.json, a
   * tokenizer, and model.safetensors or its shards with their index), or in open_clip's own.
   *
   * @param folder URL of the folder, relative to the page.
   * @throws {OcelliError} See {@link ErrorCode}.
   */
  static async load(folder: string | URL, options: LoadOptions = {}): Promise<Ocelli> {
    const { onProgress, format = "none", towers = "both", tokenTable = "memory", wasmUrl, powerPreference = "", tier = "auto", signal } = options;
    try {
      if (signal?.aborted) throw aborted(signal.reason);
      if (tokenTable !== "memory" && tokenTable !== "server") {
        throw new OcelliError("bad-input", `tokenTable: expected "memory" or "server", found ${String(tokenTable)}.`);
      }
      await requireWebGpu();
      const base = folderUrl(folder);
      await start(wasmUrl);
      const { engine, handle, downloadBytes } = await load(base, requestDevice(powerPreference, tier), { towers, format, tokenTable, onProgress, signal });
      return new Ocelli(engine, handle, base, downloadBytes);
    } catch (error) {
      throw wrap(error);
    }
  }

  /**
   * Ranks labels for a picture, best first.
   *
   * ```ts
   * await model.classify(image, ["cat", "dog"], { template: "a photo of a {}.", topK: 1 });
   * ```
   */
  classify(image: ImageInput, labels: string[], options: ClassifyOptions = {}): Promise<Classification[]> {
    return this.#labels.classify(image, labels, options);
  }

  /**
   * Labels for many pictures: their embeddings stay on the GPU.
   *
   * ```ts
   * const set = await model.labels(["cat", "dog"], { template: "a photo of a {}." });
   * const [best] = await set.classify(image);
   * ```
   */
  labels(names: string[], options: LabelOptions = {}): Promise<LabelSet> {
    return this.#labels.make(names, options);
  }

  /**
   * Labels that are taught by pictures alone: no text is needed, nor, with SigLIP, the text tower. See {@link LabelSet.learn}, which
   * adds to any set.
   *
   * ```ts
   * const set = await model.learn({ "my cup": files, "her cup": others });
   * const [best] = await set.classify(image);
   * ```
   */
  learn(examples: Record<string, Iterable<ImageInput>>, options: LabelOptions = {}): Promise<LabelSet> {
    return this.#labels.learn(examples, options);
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
    return this.#labels.load(file);
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
      const remote = new RemoteFolder(this.#folder, new AbortController().signal, () => {});
      const goldens = await remote.whole(Engine.goldensFile()).catch((error: unknown) => {
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
    this.#labels.dispose();
    if (this.#running === 0) this.#engine.free();
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
async function embedTexts(engine: Engine, texts: string[], folder: URL): Promise<Float32Array> {
  await fetchRows(engine, texts, folder);
  return engine.embedTexts(texts);
}

function requireString(text: unknown): void {
  if (typeof text !== "string") throw new OcelliError("bad-input", `text: expected a string, found ${typeof text}.`);
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
