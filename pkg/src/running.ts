import { OcelliError, wrap } from "./error.js";
import type { GpuDevice } from "./gpu.js";
import { load, type LoadParameters, type Loaded } from "./load.js";
import { Loss, type Losable } from "./owner.js";
import { PictureQueue } from "./pictures/queue.js";
import type { PlainSource } from "./source/open.js";
import type { ModelInfo } from "./types.js";
import { ended, type Team } from "./team.js";
import { abandon, alive, whenAbandoned, type EnginePart } from "./wasm.js";
import type { Engine, Labels, Queries } from "../wasm/ocelli_vlm.js";
import type { Engine as CpuEngine } from "../wasm/ocelli_vlm_cpu.js";

/** How long an error of the GPU may come before the word that the device is lost. */
const LOSS_FOLLOWS_MS = 250;

/** What the engine knows of the model; a note of its own is on the checkpoint. */
type EngineInfo = Omit<ModelInfo, "adapter" | "downloadBytes" | "backend" | "threads" | "note" | "context"> & {
  note: string | null;
};

/** Rows of prompts' images that the engine has the tokens of, and of which image, or part of one. */
export interface Shown {
  readonly key: string;
  readonly first: number;
  readonly end: number;
}

/** A loaded engine, and what belongs to it. */
export class Running implements Losable {
  readonly info: ModelInfo;
  readonly folder: Loaded["folder"];
  readonly part: EnginePart;
  /** The `GPUDevice`; none on the CPU. */
  readonly device: GpuDevice | undefined;
  readonly pictures = new PictureQueue();
  /** What was made for it besides, and is freed with it. */
  readonly made: { free(): void }[] = [];
  /** Images, in part or as a whole, whose tokens the engine has. */
  shown: Shown[] = [];
  readonly #start: number;
  readonly #engine: Engine;
  readonly #team: Team | undefined;
  readonly #labels = new Map<number, Labels | Queries>();
  /** Dropped while the engine was in use, maybe with them. */
  #dropped: { free(): void }[] = [];
  #lost: Loss | undefined;
  #unwatch = () => {};
  #freed = false;
  /** Calls of the engine that have not ended: it can't be freed under them. */
  #borrows = 0;
  #released = false;

  private constructor({ engine, found, folder, team }: Loaded, besides: string | undefined) {
    const { part, backend, start, handle, adapter } = found;
    this.#engine = engine;
    this.#team = team;
    if (team) team.onAnswers = (answers) => this.#answered(answers);
    this.#start = start;
    this.part = part;
    this.folder = folder;
    this.device = handle;
    const { note, ...facts } = JSON.parse(engine.info()) as EngineInfo;
    const notes = [besides, found.note, note].filter(Boolean).join(" ");
    this.info = {
      ...facts,
      backend,
      adapter,
      threads: 1 + (team?.helpers ?? 0),
      context: facts.tasks.includes("generate") ? engine.context() : null,
      downloadBytes: folder.downloaded,
      ...(notes && { note: notes }),
    };
  }

  static async load(source: PlainSource, parameters: Omit<LoadParameters, "batch">): Promise<Running> {
    const attempt = (batch?: number) => load(source, { ...parameters, batch });
    return new Running(
      await attempt().catch((error: unknown) => {
        // Memory may suffice for single images: room is made before weights are fetched.
        if (wrap(error).code === "gpu") return attempt(1);
        throw error;
      }),
      parameters.note,
    );
  }

  /** @throws {Loss} Once it is lost: to be asked for again after each pause. */
  get engine(): Engine {
    if (this.#lost) throw this.#lost;
    return this.#engine;
  }

  /** Waits for the engine, which stays until then: a call that is stopped, or a model that is disposed of, does not end its work. */
  async borrow<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    this.#borrows += 1;
    try {
      return await work(this.engine);
    } finally {
      this.#borrows -= 1;
      if (this.#borrows === 0) this.#letGo();
      if (this.#freed) this.#release();
    }
  }

  /** Labels of a number; made from their embeddings where they are not here yet. */
  labels(number: number, embeddings: Float32Array): Labels {
    return this.#kept(number, () => this.engine.labels(embeddings)) as Labels;
  }

  /** A detector's queries, likewise. */
  queries(number: number, vectors: Float32Array): Queries {
    return this.#kept(number, () => this.engine.queries(vectors)) as Queries;
  }

  #kept(number: number, make: () => Labels | Queries): Labels | Queries {
    const kept = this.#labels.get(number) ?? make();
    this.#labels.set(number, kept);
    return kept;
  }

  dropLabels(number: number): void {
    const labels = this.#labels.get(number);
    this.#labels.delete(number);
    if (labels) this.drop(labels);
  }

  /** Frees something that the engine made, once the engine does not use it. */
  drop(thing: { free(): void }): void {
    this.#dropped.push(thing);
    if (this.#borrows === 0) this.#letGo();
  }

  #letGo(): void {
    const dropped = this.#dropped;
    this.#dropped = [];
    if (!alive(this.part, this.#start)) return;
    for (const thing of dropped) thing.free();
  }

  watch(lost: (why: Loss) => void, failed: (why: OcelliError) => void): void {
    const lose = (why: Loss) => {
      // Its own end is no loss.
      if (this.#freed || this.#lost) return;
      this.#lost = why;
      this.#team?.end();
      lost(why);
    };
    // Listened to here and not through wgpu, which panics on errors that it does not know.
    const refused = (event: Event) => {
      const message = (event as Event & { error?: { message?: string } }).error?.message ?? "unknown error";
      this.forgetPictures();
      failed(new OcelliError("gpu", `The GPU refused: ${message}`));
    };
    this.device?.addEventListener("uncapturederror", refused);
    void this.device?.lost.then(({ message }) =>
      lose(
        new Loss(
          "device-lost",
          `The GPU went away (${message || "no reason given"}): the model has to be loaded again.`,
        ),
      ),
    );
    void this.#team?.lost.then((why) => {
      lose(new Loss("worker-lost", ended(why)));
      // What waited for it ends.
      if (!this.#freed && alive(this.part, this.#start)) (this.#engine as CpuEngine).forsaken();
    });
    const unwatch = whenAbandoned(this.part, this.#start, () =>
      lose(new Loss("internal", "The engine failed in another call: the model has to be loaded again.")),
    );
    this.#unwatch = () => {
      unwatch();
      this.device?.removeEventListener("uncapturederror", refused);
    };
  }

  /** After an error of the GPU: what is kept for the next image may be invalid, and would fail that one as well. */
  forgetPictures(): void {
    this.shown = [];
    if (!this.#lost && !this.#freed && alive(this.part, this.#start)) this.#engine.forgetPictures();
  }

  /** After an error of the GPU: a device that goes away refuses before it says so. */
  async settled(): Promise<void> {
    if (!this.device) return;
    await Promise.race([this.device.lost, new Promise((resolve) => setTimeout(resolve, LOSS_FOLLOWS_MS))]);
  }

  /** After a trap: nothing in this instance of the wasm file can be relied on, for no model. */
  trapped(): void {
    abandon(this.part, this.#start);
  }

  /** What its helpers' parts came to. A trap in here is nobody's call. */
  #answered(answers: Float32Array[]): void {
    if (this.#freed || !alive(this.part, this.#start)) return;
    try {
      (this.#engine as CpuEngine).answered(answers);
    } catch {
      this.trapped();
    }
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#unwatch();
    this.#team?.end();
    // What waits for helpers ends.
    if (this.#team && alive(this.part, this.#start)) (this.#engine as CpuEngine).forsaken();
    this.#release();
  }

  #release(): void {
    if (this.#released || this.#borrows > 0 || !alive(this.part, this.#start)) return;
    this.#released = true;
    try {
      for (const thing of [...this.#labels.values(), ...this.made]) thing.free();
      this.#engine.free();
    } catch {
      this.trapped();
    }
  }
}
