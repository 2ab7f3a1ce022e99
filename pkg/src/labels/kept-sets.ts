import { Shared } from "../shared.js";

/** Sets that are kept, by labels and templates. */
const KEPT = 8;

/** Sets that calls make by themselves, from labels, and that later calls may ask for again. */
export class KeptSets<T extends { dispose(): void }> {
  readonly #kept = new Map<string, Shared<T>>();

  /** The set under a key, which `make` makes if there is none. One that could not be made, or that nobody waited for, is forgotten. */
  keep(key: string, make: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const kept = this.#kept.get(key);
    const set = kept && !kept.stopped ? kept : new Shared(make);
    // The last one used is the last to go.
    this.#kept.delete(key);
    this.#kept.set(key, set);
    set.result.then(
      () => this.#trim(),
      () => this.#kept.get(key) === set && this.#kept.delete(key),
    );
    return set;
  }

  /** Lets go of all, after calls that are under way. */
  dispose(): void {
    for (const key of [...this.#kept.keys()]) this.#letGo(key);
  }

  #trim(): void {
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#letGo(oldest);
    }
  }

  /** A set is disposed of after the work of those who waited for it: they have come before, and begin as soon as it is made. */
  #letGo(key: string): void {
    const set = this.#kept.get(key);
    this.#kept.delete(key);
    // After as many steps as theirs.
    set?.wait(undefined, "call").then(
      (made) => made.dispose(),
      () => {},
    );
  }
}
