import { proxy, wrap as connect, type Remote } from "comlink";
import type { CoreOptions } from "./calls.js";
import type { Core } from "./core.js";
import { keep, memory } from "./device.js";
import { aborted, OcelliError } from "./error.js";
import { Loss, type Happening, type Losable } from "./owner.js";
import { requester } from "./page-fetch.js";
import type { LoadOptions, ModelInfo, Progress } from "./types.js";
import type { PlainSource } from "./source/open.js";
import { PictureQueue } from "./pictures/queue.js";
import { deathOf, end } from "./worker-death.js";
import { startWorker } from "./worker-refusal.js";
import type { Entry } from "./worker.js";

/** What a worker is started with. */
export interface WorkerOptions {
  workerUrl: LoadOptions["workerUrl"];
  source: PlainSource;
  options: CoreOptions;
  onProgress: ((progress: Progress) => void) | undefined;
  signal: AbortSignal | undefined;
  /** Told what happens to the model in there. */
  happened: (what: Happening, info: ModelInfo) => void;
}

/** A worker with a model in it. */
export class ModelWorker implements Losable {
  /** The numbers in there of label sets, by their numbers here. */
  readonly #labels = new Map<number, Promise<number>>();
  readonly pictures = new PictureQueue();
  #ended = false;

  private constructor(
    private readonly worker: Worker,
    private readonly entry: Remote<Entry>,
    private readonly death: Promise<string>,
    readonly core: Remote<Core>,
    readonly info: ModelInfo,
  ) {}

  /** @throws {OcelliError} With code `no-worker` if the browser does not start it. */
  static async load(given: WorkerOptions): Promise<ModelWorker> {
    const { workerUrl, signal } = given;
    const { worker, refusal } = startWorker(workerUrl);
    let started = false;
    worker.addEventListener("message", () => (started = true), { once: true });
    const entry = connect<Entry>(worker);
    let stop = () => {};
    const stopped = new Promise<never>((_, reject) => {
      stop = () => {
        // One whose file has not come hears nothing.
        if (!started) reject(aborted(signal?.reason, "load"));
        else void entry.abort();
      };
    });
    signal?.addEventListener("abort", stop);
    const death = deathOf(worker, entry);
    const broken = death.then(async (why) => {
      throw started ? new OcelliError("worker-lost", ended(why)) : await refusal(why);
    });
    for (const end of [stopped, broken]) end.catch(() => {});
    const alive = <T>(answer: Promise<T>) => Promise.race([answer, broken, stopped]);
    try {
      const core = await alive(start(entry, given));
      if (signal?.aborted) throw aborted(signal.reason, "load");
      keep(await alive(entry.known()));
      return new ModelWorker(worker, entry, death, core, await alive(core.info));
    } catch (error) {
      end({ worker, entry });
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** The number in there of labels; made from their embeddings where they are not there yet. */
  labels(number: number, embeddings: Float32Array): Promise<number> {
    return this.#there(number, () => this.core.addLabels(embeddings));
  }

  /** A detector's queries, likewise. */
  queries(number: number, vectors: Float32Array): Promise<number> {
    return this.#there(number, () => this.core.addQueries(vectors));
  }

  #there(number: number, make: () => Promise<number>): Promise<number> {
    const known = this.#labels.get(number);
    if (known) return known;
    const made = make();
    this.#labels.set(number, made);
    made.catch(() => this.#labels.delete(number));
    return made;
  }

  dropLabels(number: number): void {
    const made = this.#labels.get(number);
    this.#labels.delete(number);
    void made?.then((there) => (this.#ended ? undefined : this.core.dropLabels(there))).catch(() => {});
  }

  watch(lost: (why: Loss) => void): void {
    void this.death.then((why) => {
      if (this.#ended) return;
      // It may live on after an error that nobody caught, but what it holds is not to be relied on.
      this.free();
      lost(new Loss("worker-lost", ended(why)));
    });
  }

  free(): void {
    if (this.#ended) return;
    this.#ended = true;
    end({ worker: this.worker, entry: this.entry });
  }
}

const ended = (why: string) =>
  `The model's worker ended (${why || "no reason given"}): the model has to be loaded again.`;

async function start(
  entry: Remote<Entry>,
  { source, options, onProgress, happened }: WorkerOptions,
): Promise<Remote<Core>> {
  const { cache, fetch, ...others } = options;
  let core: Remote<Core> | undefined;
  core = (await entry.load(
    source,
    others,
    typeof cache === "object" ? proxy(cache) : cache,
    fetch && requester(fetch),
    memory.text,
    proxy(onProgress ?? (() => {})),
    proxy(async (what: Happening) => {
      if (core) happened(what, await core.info);
    }),
  )) as unknown as Remote<Core>;
  return core;
}
