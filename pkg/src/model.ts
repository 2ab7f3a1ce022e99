import type { Calls } from "./calls.js";
import { aborted, disposed, wrap } from "./error.js";
import type { Happening } from "./owner.js";
import { abortable } from "./shared.js";
import type { CallOptions, ModelInfo } from "./types.js";

/**
 * A loaded model and its lifetime. Whatever is asked of it, by {@link Ocelli} or by a set of labels, is one {@link Model.call}: it ends for
 * its caller when the signal fires, and a disposal waits for it.
 */
export class Model {
  #info: ModelInfo;
  readonly #listeners = new Map<Happening, Set<(info: ModelInfo) => void>>();
  #disposed = false;
  /** Calls under way. */
  #calls = 0;

  /** `core` does the work, and is for use inside of {@link Model.call}. */
  constructor(readonly core: Calls) {
    this.#info = core.info;
  }

  get info(): ModelInfo {
    return this.#info;
  }

  /** Does `work` as one call. If the signal fires, the call fails at once; what `work` has begun it ends by itself. */
  async call<T>({ signal }: CallOptions, work: (core: Calls) => Promise<T>): Promise<T> {
    try {
      if (signal?.aborted) throw aborted(signal.reason, "call");
      return await abortable(signal, this.#counted(work), "call");
    } catch (error) {
      throw wrap(error);
    }
  }

  /** Returns how to stop listening. */
  on(event: Happening, listener: (info: ModelInfo) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** Something happened to the core; `info` says what it is now, if its own does not. */
  tell(event: Happening, info: ModelInfo | undefined): void {
    this.#info = info ?? this.core.info;
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(this.#info);
      } catch (error) {
        // The listener's own: it is told as any uncaught error is, and ends nothing here.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Ends the core, after the calls that are under way. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#calls === 0) this.core.dispose();
  }

  /** Does `work`, which a disposal waits for. */
  async #counted<T>(work: (core: Calls) => Promise<T>): Promise<T> {
    if (this.#disposed) throw disposed();
    this.#calls += 1;
    try {
      return await work(this.core);
    } finally {
      this.#calls -= 1;
      if (this.#disposed && this.#calls === 0) this.core.dispose();
    }
  }
}
