import { OcelliError } from "../error.js";
import type { ByteStream } from "./stream.js";
import type { Opener, RemoteFile } from "./remote.js";
import type { Bytes } from "./types.js";

/**
 * A safetensors file, read from front to back. Bytes that are not cached come as one stream, or by range
 * requests if only parts are needed. A server without ranges sends the whole file, and the rest of it is skipped.
 */
export class TensorFile {
  #stream: ByteStream | undefined;
  /** Where the stream's first byte lies in the file, and where it ends. */
  #origin = 0;
  #end = Infinity;
  /** Whether the server sends whole files only. */
  #noRanges = false;

  constructor(
    readonly file: RemoteFile,
    readonly folder: Opener,
    readonly signal: AbortSignal,
  ) {}

  get name(): string {
    return this.file.name;
  }

  /** Length of the file in bytes, if it is known. */
  get size(): number | undefined {
    return this.file.size;
  }

  /** Reads the header. `keep` leaves the stream open for a file that is read to its end afterwards. */
  async header(
    lengthOf: (start: Uint8Array, size: number | undefined) => number,
    keep: boolean,
  ): Promise<Bytes> {
    const start = await this.read(0, 8, keep ? undefined : () => 8);
    const length = lengthOf(start, this.size);
    const header = new Uint8Array(length);
    header.set(start);
    header.set(await this.read(8, length, keep ? undefined : () => length), 8);
    if (!keep) this.close();
    return header;
  }

  /** Whether these bytes are cached. */
  has(start: number, end: number): boolean {
    return this.folder.has(this.file, start, end);
  }

  /**
   * Bytes `start` to `end`, not before those of the last call. If a request is needed for that, it asks for `start` to what `until`
   * says; without it for the rest of the file.
   */
  async read(
    start: number,
    end: number,
    until = (): number | undefined => undefined,
  ): Promise<Bytes> {
    this.signal.throwIfAborted();
    const kept = await this.folder.kept(this.file, start, end);
    if (kept) {
      // What follows is asked for anew, where that can be done.
      if (!this.#noRanges) this.close();
      return kept;
    }
    const stream = await this.#streamFor(start, until());
    await stream.skip(start - this.#origin - stream.position);
    const bytes = await stream.read(end - start);
    if (bytes.byteLength < end - start) {
      throw new OcelliError(
        "bad-checkpoint",
        `${this.name}: expected at least ${end} bytes, found ${start + bytes.byteLength}: the file is broken or incomplete, fetch it again`,
      );
    }
    await this.folder.keep(this.file, start, bytes);
    return bytes;
  }

  /** Reads a file whose end is being sent to that end, and returns its length; undefined if only parts were asked for. */
  async drain(): Promise<number | undefined> {
    if (!this.#stream || this.#end !== Infinity) return undefined;
    await this.#stream.skip(Infinity);
    return this.#origin + this.#stream.position;
  }

  close(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  async #streamFor(start: number, until: number | undefined): Promise<ByteStream> {
    if (this.#stream && start >= this.#origin + this.#stream.position && start < this.#end) return this.#stream;
    this.close();
    const range = start === 0 && until === undefined ? undefined : { start, end: until };
    const { stream, whole } = await this.folder.open(this.file, range, this.signal);
    this.#stream = stream;
    this.#noRanges = whole && range !== undefined;
    this.#origin = whole ? 0 : start;
    this.#end = whole || until === undefined ? Infinity : until;
    return stream;
  }
}
