import { OcelliError } from "../error.js";
import type { ByteStream } from "./stream.js";
import type { Opener, RemoteFile } from "./remote.js";
import type { Bytes } from "./types.js";

/** Bytes that are moved at once from a stream into a blob. */
const CHUNK = 4 << 20;

/**
 * A tensor file, read from front to back. Bytes that are not cached come as one stream, or by range
 * requests if only parts are needed. A server without ranges sends the whole file, and the rest of it is skipped; but one of
 * PyTorch's, whose table is at its end, is then held as a blob, which the browser keeps outside of the page's memory.
 */
export class TensorFile {
  #stream: ByteStream | undefined;
  /** Where the stream's first byte lies in the file, and where it ends. */
  #origin = 0;
  #end = Infinity;
  /** Whether the server sends whole files only. */
  #noRanges = false;
  #held: Blob | undefined;

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
    return this.#held?.size ?? this.file.size;
  }

  /** Whether all of it is here. */
  get held(): boolean {
    return this.#held !== undefined;
  }

  /** Reads the header. `keep` leaves the stream open for a file that is read to its end afterwards. */
  async header({ range, put }: HeaderReader, keep: boolean): Promise<void> {
    const streamed = keep && !this.#fromItsEnd;
    for (let next; (next = range(this.size));) {
      const [start, end] = next as unknown as [number, number];
      const bytes = await this.read(start, end, streamed ? undefined : () => end);
      // The server does not say where the end is.
      if (this.#fromItsEnd && this.size === undefined) await this.#hold(await this.#streamFor(0, undefined));
      put(start, bytes);
    }
    if (!streamed) this.close();
  }

  /** Whether these bytes are cached. */
  has(start: number, end: number): boolean {
    return this.folder.has(this.file, start, end);
  }

  /** Most bytes between two tensors that are no tensor's: PyTorch has a header and padding before each. */
  get gap(): number {
    return this.#fromItsEnd ? 512 : 0;
  }

  get #fromItsEnd(): boolean {
    return !this.name.endsWith(".safetensors");
  }

  async #hold(stream: ByteStream): Promise<void> {
    const parts: Blob[] = [];
    for (let bytes; (bytes = await stream.read(CHUNK)).byteLength > 0;) parts.push(new Blob([bytes]));
    this.close();
    this.#held = new Blob(parts);
  }

  /**
   * Bytes `start` to `end`, not before those of the last call. If a request is needed for that, it asks for `start` to what `until`
   * says; without it for the rest of the file.
   */
  async read(start: number, end: number, until = (): number | undefined => undefined): Promise<Bytes> {
    this.signal.throwIfAborted();
    const kept = await this.folder.kept(this.file, start, end);
    if (kept) {
      // What follows is asked for anew, where that can be done.
      if (!this.#noRanges) this.close();
      return kept;
    }
    const bytes = await this.#fetch(start, end, until);
    if (bytes.byteLength < end - start) {
      throw new OcelliError(
        "bad-checkpoint",
        `${this.name}: expected at least ${end} bytes, found ${start + bytes.byteLength}: the file is broken or incomplete, fetch it again`,
      );
    }
    await this.folder.keep(this.file, start, bytes);
    return bytes;
  }

  async #fetch(start: number, end: number, until: () => number | undefined): Promise<Bytes> {
    if (!this.#held) {
      const stream = await this.#streamFor(start, until());
      if (!(this.#fromItsEnd && this.#noRanges)) {
        await stream.skip(start - this.#origin - stream.position);
        return stream.read(end - start);
      }
      await this.#hold(stream);
    }
    return new Uint8Array(await (this.#held as unknown as Blob).slice(start, end).arrayBuffer());
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

/** Who understands a tensor file's header, which may be in several places. */
export interface HeaderReader {
  /** First byte and the byte after the last of what is needed next; undefined once all of it was put. */
  range: (size: number | undefined) => Float64Array | undefined;
  put: (start: number, bytes: Bytes) => void;
}
