import { aborted } from "../error.js";
import { abortable } from "../shared.js";

/** Batches that are being made ready or that the device works on. */
const UNDER_WAY = 2;

/** After so long the next image does not wait for one that is still being decoded: it may be stuck. */
const STUCK_MS = 3000;

/**
 * Images on their way to a device, in the order of the calls. One batch at a time is decoded, at most one ahead of the batch that
 * the device works on: calls that wait hold no decoded images.
 */
export class PictureQueue {
  readonly #waiting = new Set<() => void>();
  #preparing = 0;
  #underWay = 0;

  /** Decodes and submits with `prepare` and gets the answer with `finish`. A call whose signal fires gives up its place. */
  take<P, T>(
    prepare: () => Promise<P>,
    finish: (prepared: P) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    return abortable(signal, this.#take(prepare, finish, signal), "call");
  }

  async #take<P, T>(
    prepare: () => Promise<P>,
    finish: (prepared: P) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    await this.#turn(signal);
    const prepared = once(() => this.#preparing--);
    const finished = once(() => this.#underWay--);
    const letOn = () => {
      prepared();
      finished();
      this.#next();
    };
    const stuck = setTimeout(letOn, STUCK_MS);
    signal?.addEventListener("abort", letOn);
    try {
      const ready = await prepare();
      clearTimeout(stuck);
      prepared();
      this.#next();
      return await finish(ready);
    } finally {
      clearTimeout(stuck);
      signal?.removeEventListener("abort", letOn);
      letOn();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(begin);
        reject(aborted(signal?.reason, "call"));
      };
      const begin = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      if (signal?.aborted) return leave();
      signal?.addEventListener("abort", leave);
      this.#waiting.add(begin);
      this.#next();
    });
  }

  #next(): void {
    const [first] = this.#waiting;
    if (!first || this.#preparing > 0 || this.#underWay >= UNDER_WAY) return;
    this.#waiting.delete(first);
    this.#preparing++;
    this.#underWay++;
    first();
  }
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
