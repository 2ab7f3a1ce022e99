import { callersError, type OcelliError } from "./error.js";

/** A callback of the caller's. The first error that it throws is kept, and ends what would call it further. */
export class Callback<T> {
  /** With code `bad-input`, which names the callback. */
  failed: OcelliError | undefined;
  /** What it throws from now on, in promises of its own, is told as any uncaught error is. */
  ended = false;

  constructor(
    private readonly name: string,
    private readonly own: ((value: T) => unknown) | undefined,
    private readonly stop: () => void,
  ) {}

  readonly call = (value: T): void => {
    if (this.failed) return;
    try {
      const told = this.own?.(value);
      if (told instanceof Promise) told.catch(this.#fail);
    } catch (cause) {
      this.#fail(cause);
    }
  };

  readonly #fail = (cause: unknown): void => {
    if (this.ended) throw cause;
    this.failed ??= callersError(this.name, cause);
    this.stop();
  };
}
