import type { Ocelli } from "ocelli";
import { thumbnail, type Found } from "../files.ts";

/** What came of a picture. A picture without an embedding is broken. */
export interface Indexed {
  found: Found;
  thumbnail?: Blob;
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

/** Pictures that are embedded and written together. A page that is closed loses one such batch at most. */
const BATCH = 8;
/** Milliseconds of work over which the rate is measured. */
const LATELY = 30_000;

/**
 * Embeds pictures batch by batch; thumbnails of the next batch are drawn meanwhile. Each batch is handed to `write` before the next
 * one begins, so that whatever ends the page loses one batch at most.
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
    let next = this.#prepared(0);
    this.#stamp();
    for (let at = 0; at < todo.length && !signal.aborted; at += BATCH) {
      await this.#gate;
      if (signal.aborted) break;
      const batch = await next;
      next = this.#prepared(at + BATCH);
      await this.#embed(batch);
      await this.write(batch);
      this.#done += batch.length;
      this.#broken += batch.filter(({ broken }) => broken !== undefined).length;
      this.#stamp();
      this.told();
    }
  }

  #stamp(): void {
    const at = performance.now();
    this.#stamps.push({ at, done: this.#done });
    while (this.#stamps.length > 2 && (this.#stamps[0]?.at ?? at) < at - LATELY) this.#stamps.shift();
  }

  /** Draws the thumbnails of the batch at `at`. Never rejects: a picture that cannot be drawn is marked as broken. */
  #prepared(at: number): Promise<Indexed[]> {
    return Promise.all(
      this.#todo.slice(at, at + BATCH).map(async (found): Promise<Indexed> => {
        try {
          return { found, thumbnail: await thumbnail(found.file) };
        } catch {
          return { found, broken: await reason(found) };
        }
      }),
    );
  }

  async #embed(batch: Indexed[]): Promise<void> {
    const whole = batch.filter(({ broken }) => broken === undefined);
    try {
      const embeddings = await this.model.embedImages(whole.map(({ found }) => found.file));
      whole.forEach((one, i) => (one.embedding = embeddings[i] as Float32Array));
    } catch (error) {
      if ((error as { code?: string }).code !== "bad-image") throw error;
      // One of them; the others are as good as before.
      for (const one of whole) {
        try {
          one.embedding = await this.model.embedImage(one.found.file);
        } catch (error) {
          if ((error as { code?: string }).code !== "bad-image") throw error;
          one.broken = (error as Error).message;
        }
      }
    }
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
  return readable
    ? "The browser can't decode this image."
    : "The file can't be read: it has changed or is no longer there.";
}
