import type { Progress } from "./types.js";

const PERIOD_MS = 250;
/** How much the last period counts. */
const WEIGHT = 0.3;

/** Turns bytes that arrive into a {@link Progress} that only ever goes forward. */
export class Meter {
  #state: Progress = { phase: "files", loaded: 0, rate: 0 };
  #since = performance.now();
  #before = 0;

  constructor(readonly report: ((progress: Progress) => void) | undefined) {}

  /** The total is known, and the weights are under way. */
  weights(total: number): void {
    this.#tell({ phase: "weights", total });
  }

  at(loaded: number): void {
    const now = performance.now();
    let { rate } = this.#state;
    if (now - this.#since >= PERIOD_MS) {
      const last = ((loaded - this.#before) * 1000) / (now - this.#since);
      rate = rate === 0 ? last : rate + WEIGHT * (last - rate);
      this.#since = now;
      this.#before = loaded;
    }
    this.#tell({ loaded, rate });
  }

  ready(): void {
    const { loaded, total = 0 } = this.#state;
    const all = Math.max(loaded, total);
    this.#tell({ phase: "ready", loaded: all, total: all });
  }

  #tell(change: Partial<Progress>): void {
    this.#state = { ...this.#state, ...change };
    const { loaded, total } = this.#state;
    if (total !== undefined) {
      // More may arrive than was announced.
      this.#state.total = Math.max(total, loaded, 1);
      this.#state.fraction = loaded / this.#state.total;
    }
    this.report?.(this.#state);
  }
}
