import type { Bytes } from "./types.js";
/** Most bytes for which room is made by what a server says alone. */
const MOST_AT_ONCE = 1 << 26;

/** Bytes that come chunk by chunk. */
export interface Body {
  /** The next chunk; undefined at the end. */
  pull(): Promise<Bytes | undefined>;
  cancel(): void;
}

/** A body, read in pieces of any length. */
export class ByteStream {
  /** Bytes handed out or skipped so far. */
  position = 0;
  readonly #body: Body;
  readonly #onBytes: (count: number) => void;
  #chunk = new Uint8Array(0);

  /** `onBytes` hears of every chunk as it arrives. */
  constructor(body: Body, onBytes: (count: number) => void) {
    this.#body = body;
    this.#onBytes = onBytes;
  }

  /** The next `length` bytes; fewer where the body ends. */
  async read(length: number): Promise<Bytes> {
    const target = new Uint8Array(length);
    let filled = 0;
    while (filled < length && (await this.#fill())) {
      const part = this.#take(length - filled);
      target.set(part, filled);
      filled += part.byteLength;
    }
    return filled === length ? target : target.slice(0, filled);
  }

  /** Passes over `length` bytes; returns how many there were. */
  async skip(length: number): Promise<number> {
    let passed = 0;
    while (passed < length && (await this.#fill())) passed += this.#take(length - passed).byteLength;
    return passed;
  }

  /** All that is left, straight into place if its length was said and is so: a large file must not be in memory twice. */
  async rest(length: number | undefined): Promise<Bytes> {
    let all = await this.read(Math.min(length ?? 1 << 16, MOST_AT_ONCE));
    while (await this.#fill()) {
      const more = await this.read(Math.max(all.byteLength, this.#chunk.byteLength));
      const joined = new Uint8Array(all.byteLength + more.byteLength);
      joined.set(all);
      joined.set(more, all.byteLength);
      all = joined;
    }
    return all;
  }

  /** Lets go of a body that was not read to its end. */
  cancel(): void {
    this.#body.cancel();
  }

  /** Makes sure that there is a byte; false at the end. */
  async #fill(): Promise<boolean> {
    while (this.#chunk.byteLength === 0) {
      const chunk = await this.#body.pull();
      if (!chunk) return false;
      this.#chunk = chunk;
      this.#onBytes(chunk.byteLength);
    }
    return true;
  }

  #take(most: number): Bytes {
    const part = this.#chunk.subarray(0, most);
    this.#chunk = this.#chunk.subarray(part.byteLength);
    this.position += part.byteLength;
    return part;
  }
}
