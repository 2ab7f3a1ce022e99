/** Finds the strings that end a text, whose parts come one after the other. */
export class StopStrings {
  /** The end of what came, as far as it may be the beginning of a stop string. */
  #held = "";

  constructor(private readonly stops: readonly string[]) {}

  /** What surely belongs to the text, now that `part` has come; and whether a stop string ends it there. */
  push(part: string): { text: string; ended: boolean } {
    const all = this.#held + part;
    const found = this.stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#held = "";
      return { text: all.slice(0, Math.min(...found)), ended: true };
    }
    const at = all.length - this.#mayBegin(all);
    this.#held = all.slice(at);
    return { text: all.slice(0, at), ended: false };
  }

  /** What was held back, of a text that has ended by itself. */
  rest(): string {
    return this.#held;
  }

  /** How many of the last characters may begin a stop string. */
  #mayBegin(text: string): number {
    const most = Math.min(text.length, Math.max(0, ...this.stops.map((stop) => stop.length - 1)));
    for (let count = most; count > 0; count--) {
      const end = text.slice(-count);
      if (this.stops.some((stop) => stop.startsWith(end))) return count;
    }
    return 0;
  }
}
