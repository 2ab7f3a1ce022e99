import type { Ocelli } from "ocelli";
import { decode } from "../decode.ts";
import type { Found } from "../files.ts";
import { unreadable } from "../picture.ts";
import { Ahead } from "./ahead.ts";

/** What came of a picture. A picture without an embedding is broken. */
export interface Indexed {
  found: Found;
  thumbnail?: Blob;
  width?: number;
  height?: number;
  /** In milliseconds since 1970. */
  taken?: number | undefined;
  embedding?: Float32Array;
  broken?: string;
}

/** Progress of an indexing. Counts are pictures. */
export interface Progress {
  total: number;
  done: number;
  broken: number;
  paused: boolean;
  /** Pictures a second, over the last half minute of work; 0 while unknown. */
  rate: number;
}

/** Pictures that are embedded and written together, at most. */
const BATCH = 8;
/** Pixels that are decoded ahead of the device: 256 MB, five photos of 12 megapixels. */
const AHEAD = 64e6;
/** Milliseconds of work over which the rate is measured. */
const LATELY = 30_000;

/** A picture on its way: with its pixels, or with its file alone, which the model then decodes. */
interface Ready extends Indexed {
  pixels?: ImageBitmap | undefined;
}

/**
 * Embeds pictures in one stream. Each is decoded once, for its preview and for the model, and ahead: while the device works on one batch, the
 * next ones are decoded and the last one is written. Whatever ends the page loses two batches at most.
 */
export class Indexing {
  readonly #stop = new AbortController();
  #todo: readonly Found[] = [];
  readonly #stamps: { at: number; done: number }[] = [];
  #done = 0;
  #broken = 0;
  #resume: (() => void) | undefined;
  #gate: Promise<void> = Promise.resolve();

  constructor(
    private readonly model: Ocelli,
    private readonly write: (batch: Indexed[]) => Promise<void>,
    private readonly told: () => void,
  ) {}

  get progress(): Progress {
    const [first, last] = [this.#stamps[0], this.#stamps.at(-1)];
    const rate = first && last && last.at > first.at ? ((last.done - first.done) / (last.at - first.at)) * 1000 : 0;
    return {
      total: this.#todo.length,
      done: this.#done,
      broken: this.#broken,
      paused: this.#resume !== undefined,
      rate,
    };
  }

  /** Is aborted by {@link cancel}. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  pause(): void {
    if (this.#resume) return;
    this.#gate = new Promise((resolve) => (this.#resume = resolve));
    this.told();
  }

  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
    this.#stamps.length = 0; // the pause is no work
    this.told();
  }

  /** Ends the indexing after the current batch. Embeddings that are written stay. */
  cancel(): void {
    this.#stop.abort();
    this.resume();
  }

  async run(todo: readonly Found[]): Promise<void> {
    this.#todo = todo;
    const { signal } = this.#stop;
    const ahead = new Ahead(todo, ready, ({ pixels }) => (pixels ? pixels.width * pixels.height : 0), AHEAD);
    let writing: Promise<void> = Promise.resolve();
    this.#stamp();
    try {
      for (await this.#gate; !signal.aborted; await this.#gate) {
        const batch = await ahead.take(BATCH);
        if (batch.length === 0) break;
        await this.#embed(batch);
        await writing;
        writing = this.#written(batch);
        // Its error is met when it is waited for.
        writing.catch(() => {});
      }
      await writing;
    } finally {
      await writing.catch(() => {}); // it is over when this is
      for (const { pixels } of await ahead.end()) pixels?.close();
    }
  }

  async #written(batch: Ready[]): Promise<void> {
    await this.write(batch);
    this.#done += batch.length;
    this.#broken += batch.filter(({ broken }) => broken !== undefined).length;
    this.#stamp();
    this.told();
  }

  #stamp(): void {
    const at = performance.now();
    this.#stamps.push({ at, done: this.#done });
    while (this.#stamps.length > 2 && (this.#stamps[0]?.at ?? at) < at - LATELY) this.#stamps.shift();
  }

  async #embed(batch: Ready[]): Promise<void> {
    const whole = batch.filter(({ broken }) => broken === undefined);
    try {
      const embeddings = await this.model.embedImages(
        whole.map(({ pixels, found }) => pixels ?? found.file),
        {
          transfer: true,
        },
      );
      whole.forEach((one, i) => (one.embedding = embeddings[i] as Float32Array));
    } catch (error) {
      if ((error as { code?: string }).code !== "bad-image") throw error;
      // One of them; the others are as good as before.
      for (const one of whole) await this.#embedAlone(one);
    } finally {
      for (const { pixels } of whole) pixels?.close();
    }
  }

  async #embedAlone(one: Ready): Promise<void> {
    try {
      one.embedding = await this.model.embedImage(one.found.file);
    } catch (error) {
      if ((error as { code?: string }).code !== "bad-image") throw error;
      one.broken = (error as Error).message;
    }
  }
}

/** Never rejects: a picture that cannot be decoded is broken. */
async function ready(found: Found): Promise<Ready> {
  try {
    const { preview: thumbnail, ...others } = await decode(found.file, true);
    return { found, thumbnail, ...others };
  } catch {
    return { found, broken: await reason(found) };
  }
}

async function reason({ file }: Found): Promise<string> {
  if (file.size === 0) return "The file is empty.";
  // A file that has vanished looks like a broken picture to the decoder.
  const readable = await file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );
  return readable ? unreadable(file) : "The file can't be read: it has changed or is no longer there.";
}
