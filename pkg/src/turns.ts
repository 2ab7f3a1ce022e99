import { abortable } from "./shared.js";

/** Works one after the other: each begins when the one before has ended, well or not. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const own = this.#last.then(work);
    this.#last = own.catch(() => {});
    return own;
  }

  /** Waits for a turn, which lasts until what comes back is called. A signal that fires gives up the place. */
  async enter(signal: AbortSignal | undefined): Promise<() => void> {
    const before = this.#last;
    let leave = () => {};
    const own = new Promise<void>((resolve) => (leave = resolve));
    this.#last = before.then(() => own);
    try {
      await abortable(signal, before, "call");
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }
}
