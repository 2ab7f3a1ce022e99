import { OcelliError } from "./error.js";
import { ByteStream } from "./stream.js";

/** The server answered, and has no such file; `why` says how that showed. */
export class Missing extends Error {
  constructor(readonly why: string) {
    super(why);
  }
}

/** A model folder on a server. Counts what arrives. */
export class RemoteFolder {
  /** Bytes that have arrived, of everything. */
  loaded = 0;

  constructor(
    readonly folder: URL,
    readonly signal: AbortSignal,
    readonly onBytes: () => void,
  ) {}

  /** A whole file. */
  async whole(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { stream, length } = await this.#open(name);
    return stream.rest(length);
  }

  /** Some bytes of a file, which the server must be able to send alone. */
  async part(name: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const { stream, whole } = await this.#open(name, [start, end]);
    const bytes = whole ? undefined : await stream.read(end - start);
    stream.cancel();
    if (bytes?.byteLength === end - start) return bytes;
    throw new OcelliError(
      "not-found",
      `${new URL(name, this.folder)}: expected bytes ${start} to ${end}, found ${bytes ? `${bytes.byteLength} bytes` : "the whole file"}: ` +
        `this server knows no Range requests, load the model with tokenTable "memory".`,
    );
  }

  /** A tensor file, from which pieces are read front to back. */
  tensors(name: string): TensorFile {
    return new TensorFile(name, (range) => this.#open(name, range));
  }

  async #open(name: string, range?: [number, number]): Promise<Opened> {
    const url = new URL(name, this.folder);
    const headers: HeadersInit = range ? { range: `bytes=${range[0]}-${range[1] - 1}` } : {};
    let response: Response;
    try {
      response = await fetch(url, { signal: this.signal, headers });
    } catch (cause) {
      if (this.signal.aborted) throw cause;
      throw new OcelliError(
        "not-found",
        `${url}: cannot be fetched: the address is wrong, the network is down, or its server does not allow this page (CORS).`,
        { cause },
      );
    }
    // Servers of single-page apps answer with their page where a file is missing.
    if (response.headers.get("content-type")?.startsWith("text/html")) throw new Missing("a web page");
    if (!response.ok) throw new Missing(`HTTP ${response.status}`);
    const stream = new ByteStream(response, (count) => {
      this.loaded += count;
      this.onBytes();
    });
    const whole = response.status !== 206;
    const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
    const length = plainLength(response);
    return { stream, length, whole, size: whole ? length : total === undefined ? undefined : Number(total) };
  }
}

interface Opened {
  stream: ByteStream;
  /** Of this body. */
  length: number | undefined;
  /** Of the whole file. */
  size: number | undefined;
  /** The body is the whole file, whatever was asked for. */
  whole: boolean;
}

/** Length of the body in bytes, if it is not compressed on its way. */
function plainLength(response: Response): number | undefined {
  const length = Number(response.headers.get("content-length") ?? NaN);
  return response.headers.has("content-encoding") || Number.isNaN(length) ? undefined : length;
}

/**
 * A safetensors file on a server, read from front to back: as one stream, or where only parts of it are needed by Range
 * requests. A server that knows no ranges sends the whole file, of which the rest is passed over.
 */
export class TensorFile {
  /** Length of the file, if the server says. */
  size: number | undefined;
  #stream: ByteStream | undefined;
  /** Where the stream's first byte lies in the file, and where it ends. */
  #origin = 0;
  #end = Infinity;

  constructor(
    readonly name: string,
    readonly open: (range?: [number, number]) => Promise<Opened>,
  ) {}

  /** The header. `keep` leaves the stream open, for a file that is then read to its end. */
  async header(lengthOf: (start: Uint8Array, size: number | undefined) => number, keep: boolean): Promise<Uint8Array<ArrayBuffer>> {
    const start = await this.read(0, 8, keep ? undefined : 8);
    const length = lengthOf(start, this.size);
    const header = new Uint8Array(length);
    header.set(start);
    header.set(await this.read(8, length, keep ? undefined : length), 8);
    if (!keep) this.close();
    return header;
  }

  /**
   * Bytes `start` to `end`, not before those of the last call. If a request is needed for that, it asks for `start` to `until`;
   * without `until` for the whole file.
   */
  async read(start: number, end: number, until?: number): Promise<Uint8Array<ArrayBuffer>> {
    const stream = await this.#streamFor(start, until);
    await stream.skip(start - this.#origin - stream.position);
    const bytes = await stream.read(end - start);
    if (bytes.byteLength < end - start) {
      throw new OcelliError(
        "bad-checkpoint",
        `${this.name}: expected at least ${end} bytes, found ${start + bytes.byteLength}: the file is broken or incomplete, fetch it again`,
      );
    }
    return bytes;
  }

  /** Reads a whole file to its end and returns its length; undefined if only parts were asked for. */
  async drain(): Promise<number | undefined> {
    if (!this.#stream || this.#end !== Infinity) return undefined;
    await this.#stream.skip(Infinity);
    return this.#stream.position;
  }

  close(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  async #streamFor(start: number, until: number | undefined): Promise<ByteStream> {
    if (this.#stream && start >= this.#origin + this.#stream.position && start < this.#end) return this.#stream;
    this.close();
    const opened = await this.open(until === undefined ? undefined : [start, until]);
    this.#stream = opened.stream;
    this.size = opened.size ?? this.size;
    this.#origin = opened.whole ? 0 : start;
    this.#end = opened.whole || until === undefined ? Infinity : until;
    return opened.stream;
  }
}
