import { disposed, OcelliError } from "./error.js";

/** What happens to a model without being asked for. */
export type Happening = "devicelost" | "restored";

/** What a call ran on went away under it: the call itself may be sound, and can be made again. */
export class Loss extends OcelliError {}

/** What calls run on, and what can happen to it: an engine, or a worker with one. */
export interface Losable {
  /** Whom to tell that it is gone, at once if it is already; and of errors that any of the calls under way may have. */
  watch(lost: (why: Loss) => void, failed: (why: OcelliError) => void): void;
  /** Is called once, when no call uses it and none will. */
  free(): void;
}

type State<T extends Losable> =
  | { is: "running"; held: Held<T> }
  | { is: "lost" }
  | { is: "loading"; held: Promise<Held<T>>; stop: AbortController }
  | { is: "disposed" };

/** The one owner of what calls run on. What was lost is loaded again by the next call; if that fails, by the one after it. */
export class Owner<T extends Losable> {
  #state: State<T> = { is: "lost" };
  /** Why the last thing went away. */
  #why: Loss | undefined;

  constructor(
    first: T,
    private readonly load: (signal: AbortSignal) => Promise<T>,
    private readonly tell: (what: Happening) => void,
  ) {
    this.#hold(first);
  }

  /** What runs now, if anything does. */
  get running(): T | undefined {
    return this.#state.is === "running" ? this.#state.held.thing : undefined;
  }

  /** @throws {Loss} If it went away under the call, which ends then. */
  async use<R>(work: (thing: T) => Promise<R>): Promise<R> {
    const held = await this.#held();
    return held.use(work);
  }

  /**
   * Makes a call that makes sense on this thing alone, and not on one that took its place.
   *
   * @throws {Loss} If it went away, before or under the call.
   */
  async useOnly<R>(thing: T, work: (thing: T) => Promise<R>): Promise<R> {
    const state = this.#state;
    if (state.is === "disposed") throw disposed();
    if (state.is === "running" && state.held.thing === thing) return state.held.use(work);
    throw this.#why as Loss;
  }

  /** Frees it after the calls under way; those that wait for it to be loaded again end with the code `disposed`. */
  dispose(): void {
    const state = this.#state;
    this.#state = { is: "disposed" };
    if (state.is === "running") state.held.retire();
    if (state.is === "loading") state.stop.abort();
  }

  #held(): Held<T> | Promise<Held<T>> {
    const state = this.#state;
    if (state.is === "disposed") throw disposed();
    if (state.is !== "lost") return state.held;
    const stop = new AbortController();
    const held = this.#reload(stop.signal);
    this.#state = { is: "loading", held, stop };
    return held;
  }

  async #reload(signal: AbortSignal): Promise<Held<T>> {
    let thing: T;
    try {
      thing = await this.load(signal);
    } catch (error) {
      if (this.#state.is === "disposed") throw disposed();
      this.#state = { is: "lost" };
      throw error;
    }
    if (this.#state.is === "disposed") {
      thing.free();
      throw disposed();
    }
    const held = this.#hold(thing);
    this.tell("restored");
    return held;
  }

  #hold(thing: T): Held<T> {
    const held = new Held(thing);
    this.#state = { is: "running", held };
    thing.watch(
      (why) => {
        if (this.#state.is !== "running" || this.#state.held !== held) return;
        this.#state = { is: "lost" };
        this.#why = why;
        held.lose(why);
        this.tell("devicelost");
      },
      (why) => held.interrupt(why),
    );
    return held;
  }
}

/** A thing and the calls that use it. */
class Held<T extends Losable> {
  /** How to end each call under way. */
  readonly #calls = new Set<(why: OcelliError) => void>();
  /** Works that have not ended: what ended a call does not end its work. */
  #works = 0;
  #lost: Loss | undefined;
  #retired = false;

  constructor(readonly thing: T) {}

  async use<R>(work: (thing: T) => Promise<R>): Promise<R> {
    if (this.#lost) throw this.#lost;
    this.#works += 1;
    let end: (why: OcelliError) => void = () => {};
    const interrupted = new Promise<never>((_, reject) => (end = reject));
    this.#calls.add(end);
    const result = (async () => work(this.thing))().finally(() => {
      this.#calls.delete(end);
      this.#works -= 1;
      this.#freeIfIdle();
    });
    return Promise.race([result, interrupted]);
  }

  /** Ends the calls under way with an error. */
  interrupt(why: OcelliError): void {
    for (const end of this.#calls) end(why);
  }

  lose(why: Loss): void {
    this.#lost = why;
    this.interrupt(why);
    this.retire();
  }

  /** No call will come any more. */
  retire(): void {
    this.#retired = true;
    this.#freeIfIdle();
  }

  #freeIfIdle(): void {
    if (this.#retired && this.#works === 0) this.thing.free();
  }
}
