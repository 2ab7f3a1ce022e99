import { visit } from "../../state/library/visit.ts";
import { Store } from "../../state/store.ts";

/** What came of a photo: a result, or why there is none. */
export type Outcome<Result> = { path: string; result: Result } | { path: string; error: string };

/** Work on many photos, one after the other, that can be paused and cancelled. What fails with one photo is kept, and the others go on. */
export class Errand<Result> extends Store {
  outcomes: readonly Outcome<Result>[] = [];
  #todo: readonly string[] = [];
  #began = 0;
  #stop: AbortController | undefined;
  #gate: Promise<void> = Promise.resolve();
  #resume: (() => void) | undefined;

  /** @param work What is done with each photo's file. */
  constructor(private readonly work: (file: File, signal: AbortSignal) => Promise<Result>) {
    super();
  }

  get busy(): boolean {
    return this.#stop !== undefined;
  }

  get paused(): boolean {
    return this.#resume !== undefined;
  }

  get total(): number {
    return this.#todo.length;
  }

  /** Seconds that the rest takes, as far as is known. */
  get left(): number | undefined {
    const done = this.outcomes.length;
    return done === 0 || !this.busy
      ? undefined
      : ((performance.now() - this.#began) / 1000 / done) * (this.total - done);
  }

  async start(paths: readonly string[]): Promise<void> {
    if (this.busy) return;
    const { signal } = (this.#stop = new AbortController());
    [this.#todo, this.outcomes, this.#began] = [paths, [], performance.now()];
    this.changed();
    for (const path of paths) {
      const before = performance.now();
      await this.#gate;
      this.#began += performance.now() - before; // a pause is no work
      const outcome = signal.aborted ? undefined : await this.#one(path, signal);
      if (!outcome) break;
      this.outcomes = [...this.outcomes, outcome];
      this.changed();
    }
    this.#stop = undefined;
    this.changed();
  }

  pause(): void {
    if (this.paused) return;
    this.#gate = new Promise((resolve) => (this.#resume = resolve));
    this.changed();
  }

  resume(): void {
    this.#resume?.();
    this.#resume = undefined;
    this.changed();
  }

  /** Ends the work; results so far stay. */
  cancel(): void {
    this.#stop?.abort();
    this.resume();
  }

  async #one(path: string, signal: AbortSignal): Promise<Outcome<Result> | undefined> {
    const file = await visit.readable(path);
    if (!file) return { path, error: "The file can't be read in this visit. Choose its folder again." };
    try {
      return { path, result: await this.work(file, signal) };
    } catch (error) {
      return signal.aborted ? undefined : { path, error: error instanceof Error ? error.message : String(error) };
    }
  }
}
