import type { Calls } from "./calls.js";

/** Where rows are: the model, and their number there. */
interface Place {
  core: Calls;
  number: number;
}

const drop = ({ core, number }: Place) => core.dropLabels(number);

/** Rows that went without being released. */
const forgotten = new FinalizationRegistry<Place>(drop);

/** Rows of labels or queries that are on the device: they go when they are released, or when nobody has them any more. */
export class DeviceRows {
  readonly #place: Place;
  #calls = 0;
  #released = false;

  constructor(core: Calls, number: number) {
    this.#place = { core, number };
    forgotten.register(this, this.#place, this);
  }

  /** Does `work` with them, which stay until it has ended. */
  async use<T>(work: (core: Calls, number: number) => Promise<T>): Promise<T> {
    const { core, number } = this.#place;
    this.#calls += 1;
    try {
      return await work(core, number);
    } finally {
      this.#calls -= 1;
      this.#free();
    }
  }

  /** Frees the memory, after calls that are under way. */
  release(): void {
    this.#released = true;
    this.#free();
  }

  #free(): void {
    if (this.#released && this.#calls === 0 && forgotten.unregister(this)) drop(this.#place);
  }
}
