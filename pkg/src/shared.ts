import { aborted } from "./error.js";

/**
 * What comes of `work`; or `aborted` as soon as the signal fires, and `work` goes on by itself. With a `grace` in milliseconds, work
 * that listens to the signal has that long to take down what it has begun.
 */
export async function abortable<T>(
  signal: AbortSignal | undefined,
  work: Promise<T>,
  what: "load" | "call",
  grace = 0,
): Promise<T> {
  if (!signal) return work;
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    const end = () => reject(aborted(signal.reason, what));
    stop = grace > 0 ? () => setTimeout(end, grace) : end;
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
  return Promise.race([stopped, work]).finally(() => signal.removeEventListener("abort", stop));
}

/** Work that several calls wait for. It is stopped when it has not ended and none of them waits any more. */
export class Shared<T> {
  readonly result: Promise<T>;
  readonly #stop = new AbortController();
  #waiting = 0;
  #ended = false;

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.result = work(this.#stop.signal);
    const end = () => void (this.#ended = true);
    // It may fail when nobody waits.
    this.result.then(end, end);
  }

  /** Whoever needs it from now on must begin it anew. */
  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** One more waits for it; returns how to leave, once. */
  join(): () => void {
    let here = true;
    this.#waiting += 1;
    return () => {
      if (!here) return;
      here = false;
      this.#waiting -= 1;
      if (this.#waiting === 0 && !this.#ended) this.#stop.abort();
    };
  }

  /** What comes of it; or `aborted` as soon as the signal of this one call fires. */
  async wait(signal: AbortSignal | undefined, what: "load" | "call"): Promise<T> {
    const leave = this.join();
    try {
      return await abortable(signal, this.result, what);
    } finally {
      leave();
    }
  }
}
