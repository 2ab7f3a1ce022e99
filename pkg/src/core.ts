import { live, open, type DecodedPicture } from "./pictures/image.js";
import { disposed, OcelliError, wrap } from "./error.js";
import type { GpuDevice } from "./gpu.js";
import { load } from "./load.js";
import { fetchRows } from "./source/table-rows.js";
import type { Folder } from "./source/folder.js";
import type { PlainSource } from "./source/open.js";
import { Missing } from "./source/request.js";
import type { SourceOptions } from "./source/types.js";
import { Tokenizer } from "./tokenizer.js";
import { Turns } from "./turns.js";
import { abandon, alive, modules } from "./wasm.js";
import type {
  Backend,
  Format,
  ImageInput,
  ModelInfo,
  Progress,
  Tier,
  Towers,
  Verification,
  WasmOptions,
} from "./types.js";
import type { Engine, Labels } from "../wasm/ocelli.js";

/** What a model is loaded with; all of it can be posted to a worker, but for functions of the user's own. */
export interface CoreOptions extends WasmOptions, SourceOptions {
  towers: Towers;
  format: Format;
  tokenTable: "memory" | "server";
  backend: Backend | "auto";
  powerPreference: string;
  tier: "auto" | Tier;
}

/** What happens to a model without being asked for. */
export type Happening = "devicelost" | "restored";

interface Running {
  engine: Engine;
  folder: Folder;
  part: "gpu" | "cpu";
  /** Of which start of the wasm file it is. */
  start: number;
  info: ModelInfo;
  /** What the GPU complained about since the last call. */
  complaint: OcelliError | undefined;
  /** Why nothing can be done with it any more. */
  dead: OcelliError | undefined;
}

/** What can be asked of a model, wherever it runs. */
export interface Calls {
  readonly info: ModelInfo;
  imageBatch(): Promise<number>;
  embedImages(images: ImageInput[]): Promise<Float32Array>;
  embedTexts(texts: string[]): Promise<Float32Array>;
  addLabels(embeddings: Float32Array): Promise<number>;
  dropLabels(number: number): void;
  classify(number: number, image: ImageInput): Promise<Float32Array>;
  tokenize(text: string): Promise<Uint32Array>;
  preprocess(image: ImageInput): Promise<Uint8Array>;
  verify(): Promise<Verification>;
  dispose(): void;
}

/**
 * A model: the engine, its tokenizer, and the folder that both come from. It runs where it is made, in a page or in a worker;
 * its methods take and give only what can be posted. If the GPU goes away, the model is loaded again and the call that met it is made
 * once more; after a trap, which would only come again, the next call has a new engine.
 */
export class Core implements Calls {
  #running: Running | undefined;
  #again: Promise<Running> | undefined;
  #tokenizer: Promise<Tokenizer> | undefined;
  /** Label sets by number: their embeddings outlive an engine. */
  readonly #labels = new Map<number, { embeddings: Float32Array; made?: [Running, Labels] }>();
  #nextLabels = 0;
  readonly #decoding = new Turns();
  #disposed = false;

  private constructor(
    readonly source: PlainSource,
    private readonly options: CoreOptions,
    private readonly tell: (what: Happening) => void,
  ) {}

  static async load(
    source: PlainSource,
    options: CoreOptions,
    onProgress: ((progress: Progress) => void) | undefined,
    signal: AbortSignal | undefined,
    tell: (what: Happening) => void,
  ): Promise<Core> {
    const core = new Core(source, options, tell);
    core.#running = await core.#load(onProgress, signal);
    return core;
  }

  get info(): ModelInfo {
    return (this.#running as Running).info;
  }

  /** Most pictures in one {@link Core.embedImages}. */
  imageBatch(): Promise<number> {
    return this.#run(async ({ engine }) => engine.imageBatch());
  }

  /** Embeddings of at most a batch of pictures, one after the other. */
  embedImages(images: ImageInput[]): Promise<Float32Array> {
    return this.#run(async (running) => {
      const { engine } = running;
      // One batch of decoded pictures is in memory at a time.
      const pending = await this.#decoding.take(async () => {
        const sources = await this.#decode(images, running);
        try {
          // Without a pause, so that no other call puts its pictures in between.
          sources.forEach(({ pixels }, item) => numbered(item, () => engine.putImage(pixels, item)));
          return engine.runImages(sources.length);
        } finally {
          for (const source of sources) source.release();
        }
      });
      return engine.read(pending);
    });
  }

  /** Embeddings of texts, one after the other. */
  embedTexts(texts: string[]): Promise<Float32Array> {
    return this.#run(async (running) => {
      const { engine, folder } = running;
      const ids = await this.#tokens(texts, running);
      await fetchRows(engine, ids, folder);
      return engine.embedTokens(ids);
    });
  }

  /** Keeps labels on the device by their embeddings; returns their number. */
  async addLabels(embeddings: Float32Array): Promise<number> {
    const number = this.#nextLabels++;
    this.#labels.set(number, { embeddings });
    try {
      await this.#run(async (running) => void this.#labelsOn(running, number));
    } catch (error) {
      // Nobody will ask for a number that was never told.
      this.dropLabels(number);
      throw error;
    }
    return number;
  }

  /** Lets go of labels. */
  dropLabels(number: number): void {
    const { made } = this.#labels.get(number) ?? {};
    this.#labels.delete(number);
    if (made && alive(made[0].part, made[0].start)) made[1].free();
  }

  /** The cosine of each label's embedding with the picture's. */
  classify(number: number, image: ImageInput): Promise<Float32Array> {
    return this.#run(async (running) => {
      const labels = this.#labelsOn(running, number);
      return this.#withPicture(image, running, async (pixels) =>
        running.engine.read(running.engine.classify(labels, pixels)),
      );
    });
  }

  tokenize(text: string): Promise<Uint32Array> {
    return this.#run((running) => this.#tokens([text], running));
  }

  /** The RGBA bytes of the square that the picture tower sees. */
  preprocess(image: ImageInput): Promise<Uint8Array> {
    return this.#run((running) => this.#withPicture(image, running, (pixels) => running.engine.preprocess(pixels)));
  }

  verify(): Promise<Verification> {
    return this.#run(async (running) => {
      const { engine, info, folder, part } = running;
      const { Engine } = modules[part] as typeof modules.gpu;
      const goldens = await folder.whole(Engine.goldensFile(), new AbortController().signal).catch((error: unknown) => {
        if (!(error instanceof Missing)) throw error;
        return undefined;
      });
      const tokens =
        goldens && info.towers !== "vision" ? await this.#tokens([Engine.goldensText()], running) : undefined;
      return { ...(JSON.parse(await engine.verify(goldens, tokens)) as Verification), adapter: info.adapter };
    });
  }

  /** Frees everything; no call may be under way. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const running = this.#running as Running;
    for (const number of [...this.#labels.keys()]) this.dropLabels(number);
    if (alive(running.part, running.start)) running.engine.free();
    void this.#tokenizer?.then(
      (tokenizer) => tokenizer.dispose(),
      () => {},
    );
  }

  async #load(onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Running> {
    const attempt = (batch?: number) => load(this.source, { ...this.options, onProgress, signal, batch });
    const { engine, found, folder } = await attempt().catch((error: unknown) => {
      // Memory may suffice for single pictures: room is made before weights are fetched.
      if (wrap(error).code === "gpu") return attempt(1);
      throw error;
    });
    const { part, start, handle, adapter, note } = found;
    const facts = JSON.parse(engine.info()) as Omit<ModelInfo, "adapter" | "downloadBytes" | "backend">;
    const info: ModelInfo = {
      ...facts,
      backend: part === "gpu" ? "webgpu" : "cpu",
      adapter,
      downloadBytes: folder.downloaded,
      ...(note !== undefined && { note }),
    };
    const running: Running = { engine, folder, part, start, info, complaint: undefined, dead: undefined };
    if (handle) this.#listen(handle, running);
    return running;
  }

  #listen(handle: GpuDevice, running: Running): void {
    // Listened to here and not through wgpu, which panics on errors that it does not know.
    handle.addEventListener("uncapturederror", (event) => {
      const message = (event as Event & { error?: { message?: string } }).error?.message ?? "unknown error";
      running.complaint ??= new OcelliError("gpu", `The GPU refused: ${message}`);
    });
    void handle.lost.then(({ message }) => {
      // Its own end is no loss.
      if (this.#disposed || this.#running !== running || running.dead) return;
      this.#lose(
        running,
        new OcelliError(
          "device-lost",
          `The GPU went away (${message || "no reason given"}): the model has to be loaded again.`,
        ),
      );
    });
  }

  /** Makes a call on the model, which is loaded again first if it has to be. */
  async #run<T>(work: (running: Running) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      if (this.#disposed) throw disposed();
      const running = await this.#alive();
      try {
        const result = await work(running);
        if (running.dead) throw running.dead;
        if (running.complaint) throw running.complaint;
        return result;
      } catch (error) {
        const wrapped = running.dead ?? running.complaint ?? wrap(error);
        running.complaint = undefined;
        // After a trap nothing in this instance can be relied on, for no model.
        if (wrapped.code === "internal") {
          abandon(running.part, running.start);
          this.#lose(running, wrapped);
        }
        if (wrapped.code === "device-lost" && attempt === 0) continue;
        throw wrapped;
      }
    }
  }

  #lose(running: Running, why: OcelliError): void {
    if (running.dead) return;
    running.dead = why;
    this.tell("devicelost");
  }

  async #alive(): Promise<Running> {
    const running = this.#running as Running;
    // Another model's trap took its instance along.
    if (!alive(running.part, running.start))
      this.#lose(running, new OcelliError("internal", "The engine failed in another model's call."));
    if (!running.dead) return running;
    this.#again ??= (async () => {
      if (alive(running.part, running.start)) running.engine.free();
      this.#running = await this.#load();
      this.tell("restored");
      return this.#running;
    })().finally(() => (this.#again = undefined));
    return this.#again;
  }

  #labelsOn(running: Running, number: number): Labels {
    const set = this.#labels.get(number);
    if (!set) throw new OcelliError("disposed", "These labels were disposed of: make them again.");
    if (set.made?.[0] !== running) set.made = [running, running.engine.labels(set.embeddings)];
    return set.made[1];
  }

  async #tokens(texts: string[], { engine, folder }: Running): Promise<Uint32Array> {
    // Without the text tower this is an error, and nothing is fetched.
    engine.missingRows(new Uint32Array(0));
    this.#tokenizer ??= Tokenizer.from(folder, this.options, new AbortController().signal).catch((error: unknown) => {
      this.#tokenizer = undefined;
      throw error;
    });
    const tokenizer = await this.#tokenizer;
    const ids = texts.map((text) => tokenizer.encode(text));
    const all = new Uint32Array(ids.reduce((sum, part) => sum + part.length, 0));
    ids.reduce((at, part) => (all.set(part, at), at + part.length), 0);
    return all;
  }

  /** All pictures, or none and the first one's error. */
  async #decode(images: ImageInput[], { part }: Running): Promise<DecodedPicture[]> {
    const outcomes = await Promise.allSettled(images.map((image) => open(image, part)));
    const sources = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    const failed = outcomes.findIndex((outcome) => outcome.status === "rejected");
    if (failed < 0) return sources;
    for (const source of sources) source.release();
    return numbered(failed, () => {
      throw (outcomes[failed] as PromiseRejectedResult).reason;
    });
  }

  /** Hands a picture to `use`, decoded or as the video that it is, and lets go of it. */
  async #withPicture<T>(
    image: ImageInput,
    { part }: Running,
    use: (pixels: DecodedPicture["pixels"] | HTMLVideoElement | VideoFrame) => Promise<T>,
  ): Promise<T> {
    const video = part === "gpu" ? live(image) : undefined;
    if (video) {
      try {
        return await use(video);
      } catch (error) {
        // The browser copies no videos, or not this one.
        if (wrap(error).code !== "bad-image") throw error;
      }
    }
    const source = await open(image, part);
    try {
      return await use(source.pixels);
    } finally {
      source.release();
    }
  }
}

/** Of which picture of a batch an error speaks. */
export class PictureError extends OcelliError {
  constructor(
    readonly index: number,
    { code, message, cause }: OcelliError,
  ) {
    super(code, message, { cause });
  }
}

function numbered<T>(index: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new PictureError(index, wrap(error));
  }
}
