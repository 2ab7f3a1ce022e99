import { labelsDisposed } from "./error.js";

/** What labels are put on, and taken off by their number: an engine, or a worker with one. */
interface Holder {
  dropLabels(number: number): void;
}

/** Label sets by number. Their embeddings outlive what they are put on, which gets them again after a loss. */
export class KeptLabels {
  readonly #sets = new Map<number, Float32Array>();
  #next = 0;

  /** `owner` knows what runs now, if anything does. */
  constructor(private readonly owner: { readonly running: Holder | undefined }) {}

  /** Keeps embeddings and gives them a number, unless `put` fails to put them on what runs. */
  async add(embeddings: Float32Array, put: (number: number) => Promise<unknown>): Promise<number> {
    const number = this.#next++;
    this.#sets.set(number, embeddings);
    try {
      await put(number);
    } catch (error) {
      this.drop(number);
      throw error;
    }
    return number;
  }

  /** @throws {OcelliError} With code `disposed`, once they were dropped. */
  embeddings(number: number): Float32Array {
    const embeddings = this.#sets.get(number);
    if (!embeddings) throw labelsDisposed();
    return embeddings;
  }

  drop(number: number): void {
    this.#sets.delete(number);
    this.owner.running?.dropLabels(number);
  }

  clear(): void {
    this.#sets.clear();
  }
}
