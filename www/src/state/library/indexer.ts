import type { Ocelli } from "ocelli";
import { ImageIndex } from "ocelli/index";
import type { PictureRecord } from "../db.ts";
import type { Found } from "../files.ts";
import { models } from "../models.ts";
import { Store } from "../store.ts";
import { switching } from "../switching.ts";
import { collection, type Meta } from "./collection.ts";
import { Indexing, type Indexed, type Progress } from "./indexing.ts";
import { same, stateOf } from "./known.ts";
import { oneTab } from "./tabs.ts";
import { visit } from "./visit.ts";

/** Pictures after which the rate of an indexing says something about the model. */
const PACED = 32;

/** Decides when the waiting pictures are embedded, and by which model: start, pause, cancel, another model, another tab. */
class Indexer extends Store {
  /** Another tab is indexing; this one continues when that one ends. */
  elsewhere = false;
  /** Whether it is known which pictures the model in use has embedded before. */
  isReady = false;
  #model: Ocelli | undefined;
  #indexing: Indexing | undefined;
  #running: Promise<void> = Promise.resolve();
  /** The user has cancelled; nothing begins by itself. */
  #halted = false;
  readonly #modelChanged = () => void this.#adopt();

  /** The model whose embeddings the index holds. */
  get model(): Ocelli | undefined {
    return this.#model;
  }

  /** Progress of the current indexing; undefined while there is none. */
  get progress(): Progress | undefined {
    return this.#indexing?.progress;
  }

  /** Pictures that wait and that this visit may read. */
  get ready(): Found[] {
    return collection.waiting.flatMap((known) => {
      const file = visit.fileOf(known.path);
      return file && same(known, stateOf(file)) ? [{ path: known.path, file }] : [];
    });
  }

  /** Uses the model in use from now on, each time with the embeddings that it has made before. */
  follow(): Promise<void> {
    models.addEventListener("change", this.#modelChanged);
    return this.#adopt();
  }

  /** Indexes all that waits and that this visit may read. */
  start(): void {
    this.#halted = false;
    this.proceed();
  }

  /** Starts, unless the user has cancelled or an indexing is under way. */
  proceed(): void {
    const model = this.#model;
    if (!model || !collection.index || this.#indexing || this.#halted || this.ready.length === 0) return;
    const indexing = (this.#indexing = new Indexing(
      model,
      (batch) => this.#write(batch, model),
      () => {
        // Of the first few the rate is mostly the start.
        if (indexing.progress.done >= PACED && model === models.model) switching.paced(indexing.progress.rate);
        this.changed();
      },
    ));
    collection.dismiss();
    this.changed();
    this.#running = this.#run(indexing)
      .catch((error: unknown) => {
        if (model === this.#model && (error as { code?: string }).code !== "disposed") collection.fail(error);
      })
      .finally(() => {
        this.#indexing = undefined;
        this.changed();
        // Pictures may have come in the meantime.
        if (!indexing.signal.aborted && collection.failed === undefined) this.proceed();
      });
  }

  pause(): void {
    this.#indexing?.pause();
  }

  resume(): void {
    this.#indexing?.resume();
  }

  /** Ends the indexing; embeddings that are made stay, and the other pictures wait for {@link start}. */
  cancel(): void {
    this.#halted = true;
    this.#indexing?.cancel();
  }

  /** Ends the indexing and resolves after its last batch; {@link proceed} begins again. */
  async stop(): Promise<void> {
    this.#indexing?.cancel();
    await this.#running;
  }

  /** Tries the broken pictures again. */
  retry(): Promise<void> {
    return collection.turns.take(async () => {
      await collection.write({ pictures: collection.broken.map(({ broken: _, ...record }) => record) });
      this.start();
    });
  }

  async #adopt(): Promise<void> {
    const { model } = models;
    if (!model || model === this.#model) return;
    this.#model = model;
    this.isReady = false;
    collection.useIndex(undefined);
    this.#indexing?.cancel();
    await collection.turns
      .take(async () => {
        await this.stop();
        const index = await ImageIndex.create<Meta>({ model, format: "f32" });
        if (model !== this.#model) return index.dispose();
        collection.useIndex(index);
        await collection.read();
        this.isReady = true;
        this.changed();
        this.proceed();
      })
      .catch((error: unknown) => collection.fail(error));
  }

  #run(indexing: Indexing): Promise<void> {
    const waits = (is: boolean) => {
      this.elsewhere = is;
      this.changed();
    };
    return oneTab(indexing.signal, waits, async (waited) => {
      // The other tab has embedded some of the pictures.
      if (waited) await collection.read();
      await indexing.run(this.ready);
    });
  }

  /** Writes a batch, without pictures that were forgotten or have changed in the meantime. */
  async #write(batch: Indexed[], model: Ocelli): Promise<void> {
    const still = batch.filter(({ found: { path, file } }) => {
      const known = collection.pictures.get(path);
      return known && same(known, stateOf(file));
    });
    const { modelHash } = model.info;
    const pictures = still.map(({ found: { path }, broken, taken, width, height }) => ({
      ...(collection.pictures.get(path) as PictureRecord),
      ...(broken !== undefined && { broken }),
      ...(taken !== undefined && { taken }),
      ...(width !== undefined && height !== undefined && { width, height }),
    }));
    const embeddings = still.flatMap(({ found: { path }, embedding }) =>
      embedding ? [{ path, modelHash, embedding }] : [],
    );
    const thumbnails = still.flatMap(({ found: { path }, thumbnail }) => (thumbnail ? [{ path, thumbnail }] : []));
    await collection.write({ pictures, thumbnails, embeddings });
    if (model === this.#model) await collection.embedded(embeddings);
  }
}

export const indexer = new Indexer();
