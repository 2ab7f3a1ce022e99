/** Milliseconds over which the meter counts frames. */
const LATELY = 2000;

/**
 * An exponential mean by time and not by frames: it is as calm at 60 frames a second as at 3. What is older than `seconds` has a weight
 * of 1/e. Fed with embeddings it smooths the cosines of any label, because a cosine is linear in them.
 */
export class Smoothed {
  #mean: Float32Array | undefined;
  #at = 0;

  /** The mean once `values` of the time `at`, in milliseconds, belong to it. With 0 seconds these are the values themselves. */
  add(values: Float32Array, at: number, seconds: number): Float32Array {
    const before = this.#mean;
    const share = before && seconds > 0 ? 1 - Math.exp((this.#at - at) / (1000 * seconds)) : 1;
    this.#at = at;
    return (this.#mean = values.map((value, i) => {
      const old = before?.[i] ?? 0;
      return old + share * (value - old);
    }));
  }

  forget(): void {
    this.#mean = undefined;
  }
}

/** Frames a second, and what each of them takes, over the last two seconds. */
export class Meter {
  #frames: { at: number; milliseconds: number }[] = [];

  /** Counts a frame that was finished at `at` and took `milliseconds`. */
  add(at: number, milliseconds: number): void {
    this.#frames.push({ at, milliseconds });
    this.#frames = this.#frames.filter((frame) => frame.at >= at - LATELY);
  }

  /** Mean milliseconds of a frame; 0 without frames. */
  get milliseconds(): number {
    return this.#frames.reduce((sum, frame) => sum + frame.milliseconds, 0) / Math.max(1, this.#frames.length);
  }

  /** Frames a second, from the first to the last of those counted; 0 while there is one at most. */
  get rate(): number {
    const [first, last] = [this.#frames[0], this.#frames.at(-1)];
    return first && last && last.at > first.at ? ((this.#frames.length - 1) / (last.at - first.at)) * 1000 : 0;
  }

  forget(): void {
    this.#frames = [];
  }
}
