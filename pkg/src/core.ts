import type { Calls, CoreOptions } from "./calls.js";
import { live, open, type DecodedPicture } from "./pictures/image.js";
import { all, numbered } from "./pictures/picture-error.js";
import { ready, type ReadyPicture } from "./pictures/ready.js";
import { wrap } from "./error.js";
import { submitted } from "./gpu.js";
import { KeptLabels } from "./kept-labels.js";
import { Loss, Owner, type Happening } from "./owner.js";
import { fetchRows } from "./source/table-rows.js";
import { Running } from "./running.js";
import type { PlainSource } from "./source/open.js";
import { Missing } from "./source/request.js";
import { Tokenizer } from "./tokenizer.js";
import { modules } from "./wasm.js";
import type { Starting } from "./worker-refusal.js";
import type { ImageInput, ModelInfo, Progress, Verification } from "./types.js";
import type { Engine, Labels, Pending, Queries } from "../wasm/ocelli_vlm.js";
import type { MaskData, MaskSize, SceneData, Wanted } from "./find/plain.js";
import type { Answer, Begun, Detail, Manner, Places, PromptRequest, Sought, Step } from "./vlm/plain.js";
import { placesIn } from "./vlm/places.js";
import { Texts } from "./vlm/texts.js";

/**
 * A model: the engine, its tokenizer, and the folder that both come from. It runs where it is made, in a page or in a worker;
 * its methods take and give only what can be posted. If the GPU goes away, or another call's trap takes the engine along, the model is
 * loaded again and the calls that met it are made once more; after a trap of its own, which would only come again, the next call
 * has a new engine.
 */
export class Core implements Calls {
  readonly #owner: Owner<Running>;
  #info: ModelInfo;
  #tokenizer: Promise<Tokenizer> | undefined;
  readonly #labels: KeptLabels;
  readonly #texts = new Texts({
    run: (work) => this.#run(work),
    runOnly: (running, work) => this.#once((inner) => this.#owner.useOnly(running, inner), work),
    tokenized: (running, work) => this.#tokenized(running, work),
  });

  private constructor(
    first: Running,
    private readonly options: CoreOptions,
    load: (signal: AbortSignal) => Promise<Running>,
    tell: (what: Happening) => void,
  ) {
    this.#info = first.info;
    const again = async (signal: AbortSignal) => {
      const running = await load(signal);
      this.#info = running.info;
      return running;
    };
    this.#owner = new Owner(first, again, tell);
    this.#labels = new KeptLabels(this.#owner);
  }

  static async load(
    source: PlainSource,
    options: CoreOptions,
    /** Starts a worker for the model's own use. */
    startHelper: () => Starting,
    onProgress: ((progress: Progress) => void) | undefined,
    signal: AbortSignal | undefined,
    tell: (what: Happening) => void,
  ): Promise<Core> {
    const first = await Running.load(source, { ...options, startHelper, onProgress, signal });
    return new Core(
      first,
      options,
      (signal) => Running.load(source, { ...options, startHelper, onProgress: undefined, signal }),
      tell,
    );
  }

  get info(): ModelInfo {
    return this.#info;
  }

  /** Most images in one {@link Core.embedImages}. */
  imageBatch(): Promise<number> {
    return this.#run(async ({ engine }) => engine.imageBatch());
  }

  /** Embeddings of at most a batch of images, one after the other. */
  embedImages(images: ImageInput[], signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(async (running) => {
      const here = all(await Promise.allSettled(images.map((image) => ready(image, signal))));
      const prepare = async () => {
        const sources = await this.#decode(here, running);
        try {
          const { engine } = running;
          return await submit(
            running,
            () => {
              sources.forEach(({ pixels }, item) => numbered(item, () => engine.putImage(pixels, item)));
              return engine.runImages(sources.length);
            },
            free,
          );
        } finally {
          for (const source of sources) source.release();
        }
      };
      return running.pictures.take(prepare, (pending) => running.borrow((engine) => engine.read(pending)), signal);
    });
  }

  /** Embeddings of texts, one after the other. */
  embedTexts(texts: string[]): Promise<Float32Array> {
    return this.#run(async (running) => {
      const ids = await this.#tokens(texts, running);
      await fetchRows(running.engine, ids, running.folder);
      return running.engine.embedTokens(ids);
    });
  }

  /** Of each text, whether it is longer than the text tower takes. */
  cuts(texts: string[]): Promise<boolean[]> {
    return this.#run((running) => {
      requireTexts(running);
      return this.#tokenized(running, (tokenizer) => texts.map((text) => tokenizer.cuts(text)));
    });
  }

  /** Keeps labels on the device by their embeddings; returns their number. */
  addLabels(embeddings: Float32Array): Promise<number> {
    return this.#labels.add(embeddings, (number) =>
      this.#run((running) => submitted(running.device, () => this.#labelsOn(running, number))),
    );
  }

  /** Lets go of labels. */
  dropLabels(number: number): void {
    this.#labels.drop(number);
  }

  /** The cosine of each label's embedding with the image's. */
  classify(number: number, image: ImageInput, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(async (running) => {
      const classified = (pixels: Pixels) =>
        submit(running, () => running.engine.classify(this.#labelsOn(running, number), pixels), free);
      const pending = await this.#asVideo(image, running, classified);
      if (pending) return running.borrow((engine) => engine.read(pending));
      return running.pictures.take(
        () => this.#withPicture(image, running, signal, classified),
        (pending) => running.borrow((engine) => engine.read(pending)),
        signal,
      );
    });
  }

  tokenize(text: string): Promise<Uint32Array> {
    return this.#run((running) => this.#tokens([text], running));
  }

  /** What the image tower sees. */
  preprocess(image: ImageInput, signal?: AbortSignal): Promise<ImageData> {
    return this.#ofPicture(image, signal, (engine, pixels) => engine.preprocess(pixels));
  }

  /** What the image tower makes of an image, for any number of questions. */
  look(image: ImageInput, signal?: AbortSignal): Promise<SceneData> {
    return this.#ofPicture(image, signal, async (engine, pixels) => {
      const [width, height, ...features] = (await engine.look(pixels)) as [number, number, ...Float32Array[]];
      return { width, height, features };
    });
  }

  /** An image as a prompt of a segmenter. */
  picturePrompt(image: ImageInput, signal?: AbortSignal): Promise<Float32Array> {
    return this.#ofPicture(image, signal, (engine, pixels) => engine.picturePrompt(pixels));
  }

  /** Keeps a detector's queries on the device by their vectors; returns their number, for {@link Core.dropLabels}. */
  addQueries(vectors: Float32Array): Promise<number> {
    return this.#labels.add(vectors, (number) =>
      this.#run((running) => submit(running, () => this.#queriesOn(running, number))),
    );
  }

  /** Of each detection, best first: label, score, logit, token, and the box's x, y, width and height. */
  detect(number: number, scene: SceneData, wanted: Wanted): Promise<Float64Array> {
    return this.#run((running) =>
      running.borrow((engine) => engine.detect(this.#queriesOn(running, number), scene, wanted)),
    );
  }

  /** Of whatever is there, best first, likewise; the label is 0. */
  objects(scene: SceneData, wanted: Wanted): Promise<Float64Array> {
    return this.#run(async ({ engine }) => engine.objects(scene, wanted));
  }

  /** What a scene shows as a query; with a region (left, top, right and bottom in pixels) what is there. */
  example(scene: SceneData, region: Float64Array | undefined): Promise<Float32Array> {
    return this.#run(async ({ engine }) => engine.example(scene, region));
  }

  /** A mask of a scene for each prompt: its vectors, one after the other. */
  segment(scene: SceneData, prompts: Float32Array, threshold: number, size: MaskSize): Promise<MaskData[]> {
    return this.#run(async (running) => {
      const masks = await running.borrow((engine) => engine.segment(scene, prompts, threshold, size === "picture"));
      return masks as MaskData[];
    });
  }

  /** Begins a text: see {@link Texts}. */
  begin(request: PromptRequest, images: ImageInput[], manner: Manner, signal?: AbortSignal): Promise<Begun> {
    return this.#texts.begin(request, images, manner, signal);
  }

  /** The next step of a text, which is never made again. */
  next(text: number): Promise<Step> {
    return this.#texts.next(text);
  }

  /** Lets go of a text. */
  async end(text: number): Promise<void> {
    this.#texts.end(text);
  }

  /** Where the things are that an answer names. */
  places(answer: string, sought: Sought): Promise<Places> {
    return this.#run((running) => placesIn(running, answer, sought));
  }

  /** What an answer to a task says of an image of this size. */
  answered(task: string, answer: string, width: number, height: number): Promise<Answer> {
    return this.#run(async ({ part }) => {
      const { answered } = modules[part] as typeof modules.vlm;
      return JSON.parse(answered(task, answer, width, height)) as Answer;
    });
  }

  /** Tokens of a prompt. */
  countPrompt(request: PromptRequest, images: ImageInput[], detail: Detail, signal?: AbortSignal): Promise<number> {
    return this.#texts.count(request, images, detail, signal);
  }

  verify(): Promise<Verification> {
    return this.#run(async (running) => {
      const { info, folder, part } = running;
      const { Engine } = modules[part] as typeof modules.vlm;
      const goldens = await folder.whole(Engine.goldensFile(), new AbortController().signal).catch((error: unknown) => {
        if (!(error instanceof Missing)) throw error;
        return undefined;
      });
      const text = Engine.goldensText();
      const writes = info.tasks.includes("generate");
      const ids = () =>
        writes ? this.#tokenized(running, (tokenizer) => tokenizer.encodePlain(text)) : this.#tokens([text], running);
      const tokens = goldens && info.towers !== "vision" ? await ids() : undefined;
      const found = await running.engine.verify(goldens, tokens);
      return { ...(JSON.parse(found) as Verification), adapter: info.adapter };
    });
  }

  /** Frees everything, after the calls under way. */
  dispose(): void {
    this.#owner.dispose();
    this.#labels.clear();
    void this.#tokenizer?.then(
      (tokenizer) => tokenizer.dispose(),
      () => {},
    );
    this.#tokenizer = undefined;
  }

  /** Makes a call on the model, which is loaded again first if it has to be. */
  async #run<T>(work: (running: Running) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once((inner) => this.#owner.use(inner), work);
      } catch (error) {
        if (!(error instanceof Loss) || attempt > 0) throw error;
      }
    }
  }

  /** Makes a call on what `use` gives it. */
  async #once<T>(
    use: (inner: (running: Running) => Promise<T>) => Promise<T>,
    work: (running: Running) => Promise<T>,
  ): Promise<T> {
    let used: Running | undefined;
    try {
      return await use(async (running) => {
        used = running;
        try {
          return await work(running);
        } catch (error) {
          if (wrap(error).code === "gpu") await running.settled();
          throw error;
        }
      });
    } catch (error) {
      const wrapped = wrap(error);
      if (wrapped.code === "internal" && !(wrapped instanceof Loss)) used?.trapped();
      throw wrapped;
    }
  }

  #labelsOn(running: Running, number: number): Labels {
    return running.labels(number, this.#labels.embeddings(number));
  }

  #queriesOn(running: Running, number: number): Queries {
    return running.queries(number, this.#labels.embeddings(number));
  }

  /** What the engine makes of an image by itself. */
  #ofPicture<T>(
    image: ImageInput,
    signal: AbortSignal | undefined,
    work: (engine: Engine, pixels: Pixels) => Promise<T>,
  ): Promise<T> {
    return this.#run(async (running) => {
      const made = (pixels: Pixels) => running.borrow((engine) => work(engine, pixels));
      return (
        (await this.#asVideo(image, running, made)) ??
        running.pictures.take(
          () => this.#withPicture(image, running, signal, made),
          async (answer) => answer,
          signal,
        )
      );
    });
  }

  async #tokens(texts: string[], running: Running): Promise<Uint32Array> {
    requireTexts(running);
    const ids = await this.#tokenized(running, (tokenizer) => texts.map((text) => tokenizer.encode(text)));
    const all = new Uint32Array(ids.reduce((sum, part) => sum + part.length, 0));
    ids.reduce((at, part) => (all.set(part, at), at + part.length), 0);
    return all;
  }

  async #tokenized<T>({ folder }: Running, work: (tokenizer: Tokenizer) => T): Promise<T> {
    const asked = (this.#tokenizer ??= Tokenizer.from(folder, this.options, new AbortController().signal));
    // The next text has another one.
    const forget = () => {
      if (this.#tokenizer === asked) this.#tokenizer = undefined;
    };
    const tokenizer = await asked.catch((error: unknown) => {
      forget();
      throw error;
    });
    try {
      return work(tokenizer);
    } catch (error) {
      const { code, message } = wrap(error);
      if (code !== "internal") throw error;
      // The engine is sound: this instance of the tokenizers' wasm file is not.
      forget();
      throw new Loss(code, message, { cause: error });
    }
  }

  /** All images, or none and the first one's error. */
  async #decode(images: ReadyPicture[], { info }: Running): Promise<DecodedPicture[]> {
    const outcomes = await Promise.allSettled(images.map((image) => open(image, info.backend)));
    return all(outcomes, (source) => source.release());
  }

  /** Hands a video's frame to `use` as it is; undefined for all that has to be decoded. */
  async #asVideo<T>(image: ImageInput, { info }: Running, use: (pixels: Pixels) => Promise<T>): Promise<T | undefined> {
    const video = info.backend === "webgpu" ? live(image) : undefined;
    if (!video) return undefined;
    try {
      return await use(video);
    } catch (error) {
      // The browser copies no videos, or not this one.
      if (wrap(error).code !== "bad-image") throw error;
      return undefined;
    }
  }

  /** Hands a decoded image to `use`, and lets go of it. */
  async #withPicture<T>(
    image: ImageInput,
    { info }: Running,
    signal: AbortSignal | undefined,
    use: (pixels: Pixels) => Promise<T>,
  ): Promise<T> {
    const source = await open(await ready(image, signal), info.backend);
    try {
      return await use(source.pixels);
    } finally {
      source.release();
    }
  }
}

/** @throws {OcelliError} Without the text tower; nothing is fetched for it. */
function requireTexts({ engine }: Running): void {
  engine.missingRows(new Uint32Array(0));
}

/** What the engine takes. */
type Pixels = DecodedPicture["pixels"] | HTMLVideoElement | VideoFrame;

const free = (pending: Pending) => pending.free();

/** What `work` submits without a pause, once the GPU has taken it; else it goes by `drop`. */
async function submit<T>(running: Running, work: () => T, drop?: (made: T) => void): Promise<T> {
  try {
    return await submitted(running.device, work, drop);
  } catch (error) {
    if (wrap(error).code === "gpu") running.forgetPictures();
    throw error;
  }
}
