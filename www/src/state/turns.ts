/** Runs jobs one after the other. A job that fails does not stop the next one. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `job` after those that were queued before it, and settles as it does. */
  take<T>(job: () => Promise<T>): Promise<T> {
    const own = this.#last.then(job);
    this.#last = own.catch(() => {});
    return own;
  }
}
