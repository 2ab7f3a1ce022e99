import type { Calls, CoreOptions } from "./calls.js";
import type { MaskData, MaskSize, SceneData, Wanted } from "./find/plain.js";
import type { Answer, Begun, Detail, Manner, Places, PromptRequest, Sought, Step } from "./vlm/plain.js";
import { KeptLabels } from "./kept-labels.js";
import { ModelWorker, type WorkerOptions } from "./model-worker.js";
import { Owner, type Happening } from "./owner.js";
import { allPostable, keepErrors, postable } from "./posted.js";
import type { PlainSource } from "./source/open.js";
import type { ImageInput, LoadOptions, ModelInfo, Progress, Verification } from "./types.js";

let kept = false;

/**
 * A {@link Core} in a worker of its own: the same calls, with images made ready for the way. If the worker dies, its calls end with
 * the code `worker-lost`, as each of them may be why; the next one has a new worker.
 */
export class RemoteCore implements Calls {
  readonly #owner: Owner<ModelWorker>;
  #info: ModelInfo;
  readonly #labels: KeptLabels;
  /** In which worker the last text has begun. */
  #writer: ModelWorker | undefined;

  private constructor(
    first: ModelWorker,
    load: (signal: AbortSignal) => Promise<ModelWorker>,
    tell: (what: Happening) => void,
  ) {
    this.#info = first.info;
    const again = async (signal: AbortSignal) => {
      const worker = await load(signal);
      this.#info = worker.info;
      return worker;
    };
    this.#owner = new Owner(first, again, tell);
    this.#labels = new KeptLabels(this.#owner);
  }

  static async load(
    workerUrl: LoadOptions["workerUrl"],
    source: PlainSource,
    options: CoreOptions,
    onProgress: ((progress: Progress) => void) | undefined,
    signal: AbortSignal | undefined,
    tell: (what: Happening, info: ModelInfo) => void,
  ): Promise<RemoteCore> {
    if (!kept) keepErrors();
    kept = true;
    let core: RemoteCore | undefined;
    const happened = (what: Happening, info: ModelInfo) => {
      if (!core) return;
      core.#info = info;
      tell(what, info);
    };
    const common: Omit<WorkerOptions, "onProgress" | "signal"> = { workerUrl, source, options, happened };
    const first = await ModelWorker.load({ ...common, onProgress, signal });
    core = new RemoteCore(
      first,
      (signal) => ModelWorker.load({ ...common, onProgress: undefined, signal }),
      (what) => happened(what, (core as RemoteCore).info),
    );
    return core;
  }

  get info(): ModelInfo {
    return this.#info;
  }

  imageBatch(): Promise<number> {
    return this.#owner.use(({ core }) => core.imageBatch());
  }

  embedImages(images: ImageInput[], signal?: AbortSignal, transfer?: boolean): Promise<Float32Array> {
    return this.#owner.use(({ core, pictures }) =>
      pictures.take(
        () => allPostable(images, signal, transfer),
        (ready) => core.embedImages(ready),
        signal,
      ),
    );
  }

  embedTexts(texts: string[]): Promise<Float32Array> {
    return this.#owner.use(({ core }) => core.embedTexts(texts));
  }

  cuts(texts: string[]): Promise<boolean[]> {
    return this.#owner.use(({ core }) => core.cuts(texts));
  }

  addLabels(embeddings: Float32Array): Promise<number> {
    return this.#labels.add(embeddings, (number) => this.#owner.use((worker) => worker.labels(number, embeddings)));
  }

  dropLabels(number: number): void {
    this.#labels.drop(number);
  }

  classify(number: number, image: ImageInput, signal?: AbortSignal): Promise<Float32Array> {
    return this.#owner.use(async (worker) => {
      const there = await worker.labels(number, this.#labels.embeddings(number));
      return worker.pictures.take(
        () => postable(image, signal),
        (ready) => worker.core.classify(there, ready),
        signal,
      );
    });
  }

  tokenize(text: string): Promise<Uint32Array> {
    return this.#owner.use(({ core }) => core.tokenize(text));
  }

  preprocess(image: ImageInput, signal?: AbortSignal): Promise<ImageData> {
    return this.#ofPicture(image, signal, (core, ready) => core.preprocess(ready));
  }

  look(image: ImageInput, signal?: AbortSignal): Promise<SceneData> {
    return this.#ofPicture(image, signal, (core, ready) => core.look(ready));
  }

  picturePrompt(image: ImageInput, signal?: AbortSignal): Promise<Float32Array> {
    return this.#ofPicture(image, signal, (core, ready) => core.picturePrompt(ready));
  }

  addQueries(vectors: Float32Array): Promise<number> {
    return this.#labels.add(vectors, (number) => this.#owner.use((worker) => worker.queries(number, vectors)));
  }

  detect(number: number, scene: SceneData, wanted: Wanted): Promise<Float64Array> {
    return this.#owner.use(async (worker) =>
      worker.core.detect(await worker.queries(number, this.#labels.embeddings(number)), scene, wanted),
    );
  }

  objects(scene: SceneData, wanted: Wanted): Promise<Float64Array> {
    return this.#owner.use(({ core }) => core.objects(scene, wanted));
  }

  example(scene: SceneData, region: Float64Array | undefined): Promise<Float32Array> {
    return this.#owner.use(({ core }) => core.example(scene, region));
  }

  segment(scene: SceneData, prompts: Float32Array, threshold: number, size: MaskSize): Promise<MaskData[]> {
    return this.#owner.use(({ core }) => core.segment(scene, prompts, threshold, size));
  }

  begin(request: PromptRequest, images: ImageInput[], manner: Manner, signal?: AbortSignal): Promise<Begun> {
    return this.#owner.use(async (worker) => {
      const begun = await worker.core.begin(request, await allPostable(images, signal), manner);
      this.#writer = worker;
      return begun;
    });
  }

  next(text: number): Promise<Step> {
    return this.#owner.useOnly(this.#writer as ModelWorker, ({ core }) => core.next(text));
  }

  end(text: number): Promise<void> {
    return this.#owner.useOnly(this.#writer as ModelWorker, ({ core }) => core.end(text));
  }

  places(answer: string, sought: Sought): Promise<Places> {
    return this.#owner.use(({ core }) => core.places(answer, sought));
  }

  answered(task: string, answer: string, width: number, height: number): Promise<Answer> {
    return this.#owner.use(async ({ core }) => core.answered(task, answer, width, height));
  }

  countPrompt(request: PromptRequest, images: ImageInput[], detail: Detail, signal?: AbortSignal): Promise<number> {
    return this.#owner.use(async ({ core }) => core.countPrompt(request, await allPostable(images, signal), detail));
  }

  verify(): Promise<Verification> {
    return this.#owner.use(({ core }) => core.verify());
  }

  dispose(): void {
    this.#owner.dispose();
    this.#labels.clear();
  }

  #ofPicture<T>(
    image: ImageInput,
    signal: AbortSignal | undefined,
    work: (core: ModelWorker["core"], ready: ImageInput) => Promise<T>,
  ): Promise<T> {
    return this.#owner.use(({ core, pictures }) =>
      pictures.take(
        () => postable(image, signal),
        (ready) => work(core, ready),
        signal,
      ),
    );
  }
}
