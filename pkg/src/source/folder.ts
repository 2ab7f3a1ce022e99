import { OcelliError } from "../error.js";
import { ByteStream } from "./stream.js";
import { FolderCache, keys } from "./cache.js";
import type { Opened, Opener, RemoteFile } from "./remote.js";
import { BEYOND, mended, Missing, patiently, rangeHeader, type Range } from "./request.js";
import { TensorFile } from "./tensors.js";

/** A place of files. It answers requests as a server does. */
export interface FileSource {
  /** Prefix of file names in messages: an address with its last slash. */
  label: string;
  /** The file's address, under which it may be cached; undefined for files that are not on a server. */
  url(name: string): string | undefined;
  /** Whether files at these addresses never change. */
  immutable: boolean;
  /** @throws {@link Missing} If there is no such file. */
  request(name: string, init: RequestInit): Promise<Response>;
}

/** A model's files, wherever they are, read through a cache. All of them are of one version, or it is an error. */
export class Folder implements Opener {
  /** Bytes that are here, of everything. */
  loaded = 0;
  /** Bytes of {@link loaded} that came over the network. */
  downloaded = 0;
  /** Is called after each change of {@link loaded} and {@link downloaded}. */
  onBytes: () => void = () => {};
  readonly #files = new Map<string, Promise<RemoteFile>>();
  /** Whether a cached file was used without asking the server, because the network was down. */
  #unchecked = false;

  constructor(
    readonly source: FileSource,
    readonly cache: FolderCache,
  ) {}

  get label(): string {
    return this.source.label;
  }

  /** Reads a whole file. */
  async whole(name: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.file(name, signal);
    const kept = file.size === undefined ? undefined : await this.kept(file, 0, file.size);
    if (kept) return kept;
    const { stream, length } = await this.open(file, undefined, signal);
    return this.#wholeOf(file, await stream.rest(length));
  }

  /** Caches a whole file, unless it is cached already or larger than `most` bytes. `expected` gets the bytes that will come. */
  async hold(name: string, most: number, expected: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const file = await this.file(name, signal);
    if (file.size !== undefined && (file.size > most || this.has(file, 0, file.size))) return;
    const { stream, length } = await this.open(file, undefined, signal);
    if (length !== undefined && length > most) return stream.cancel();
    expected(length ?? 0);
    await this.#wholeOf(file, await stream.rest(length));
  }

  /** Reads bytes `start` to `end` of a file. The server must support ranges. */
  async part(name: string, start: number, end: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.file(name, signal);
    const kept = await this.kept(file, start, end);
    if (kept) return kept;
    const { stream, whole } = await this.open(file, { start, end }, signal);
    const bytes = whole ? undefined : await stream.read(end - start);
    stream.cancel();
    if (bytes?.byteLength === end - start) {
      await this.keep(file, start, bytes);
      return bytes;
    }
    throw new OcelliError(
      "not-found",
      `${file.url ?? name}: expected bytes ${start} to ${end}, found ${bytes ? `${bytes.byteLength} bytes` : "the whole file"}: ` +
        `this server knows no Range requests, load the model with tokenTable "memory".`,
    );
  }

  /** Opens a tensor file, from which pieces are read front to back. */
  async tensors(name: string, signal: AbortSignal): Promise<TensorFile> {
    return new TensorFile(await this.file(name, signal), this, signal);
  }

  /** Version and size of a file. A cached file is compared with its server first, if the server can be reached. */
  file(name: string, signal: AbortSignal): Promise<RemoteFile> {
    let file = this.#files.get(name);
    if (!file) {
      this.#files.set(name, (file = this.#check(name, signal)));
      file.catch(() => this.#files.delete(name));
    }
    return file;
  }

  has({ url, version }: RemoteFile, start: number, end: number): boolean {
    return url !== undefined && version !== undefined && this.cache.has(keys.piece(url, version, start, end));
  }

  /** Bytes `start` to `end` of a file from the cache; undefined if they are not cached. */
  async kept(file: RemoteFile, start: number, end: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { url, version } = file;
    if (url === undefined || version === undefined) return undefined;
    const bytes = await this.cache.get(keys.piece(url, version, start, end));
    if (bytes?.byteLength !== end - start) return undefined;
    this.#count(bytes.byteLength);
    return bytes;
  }

  async keep({ url, version }: RemoteFile, start: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (url === undefined || version === undefined) return;
    await this.cache.put(keys.piece(url, version, start, start + bytes.byteLength), bytes);
  }

  /** Requests a file, or a range of it. */
  async open(file: RemoteFile, range: Range | undefined, signal: AbortSignal): Promise<Opened> {
    const first = await this.#ask(file, range, signal);
    const end = first.length === undefined ? undefined : first.start + first.length;
    const again = (from: number) =>
      this.#ask(file, { start: from, end: range && !first.whole ? range.end : undefined }, signal);
    const stream = new ByteStream(
      mended(file.url ?? file.name, first.response, first.start, end, again, signal),
      (count) => {
        this.downloaded += count;
        this.#count(count);
      },
    );
    return { stream, length: first.length, whole: first.whole };
  }

  /** Caches a file that has arrived as a whole, and records its length. */
  async #wholeOf(file: RemoteFile, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    if (file.size !== bytes.byteLength) {
      file.size = bytes.byteLength;
      await this.#record(file);
    }
    await this.keep(file, 0, bytes);
    return bytes;
  }

  async #ask(file: RemoteFile, range: Range | undefined, signal: AbortSignal): Promise<Answer> {
    const { name, url } = file;
    const init: RequestInit = { signal, ...(range && { headers: rangeHeader(range) }) };
    const response = await patiently(url ?? name, () => this.source.request(name, init), signal);
    const gone = missing(response);
    if (gone) {
      void response.body?.cancel();
      if (url !== undefined && gone.sure)
        await this.cache.putRecord(url, { version: NOTHING, missing: gone.why, when: Date.now() });
      throw new Missing(gone.why);
    }
    if (response.status === BEYOND) return { response, length: 0, whole: false, start: range?.start ?? 0 };
    const partial = response.status === 206;
    const length = plainLength(response);
    const [, from, total] = /^bytes (\d+)-\d+\/(\d*)/.exec(response.headers.get("content-range") ?? "") ?? [];
    const size = partial ? (total ? Number(total) : undefined) : length;
    const start = partial ? Number(from ?? range?.start) : 0;
    if (partial && start !== range?.start) {
      throw new OcelliError(
        "not-found",
        `${url ?? name}: expected bytes from ${range?.start ?? 0} on, found them from ${start} on: its server answers Range requests wrongly.`,
      );
    }
    await this.#meet(file, versionOf(response, size), size);
    return { response, length, whole: !partial, start };
  }

  /** Compares version and size in an answer with those that are known. */
  async #meet(file: RemoteFile, version: string | undefined, size: number | undefined): Promise<void> {
    const differs = (a: unknown, b: unknown) => a !== undefined && b !== undefined && a !== b;
    if (differs(version, file.version) || differs(size, file.size)) throw changed(file.url ?? file.name);
    const more = file.version !== (file.version ??= version);
    if (file.size !== (file.size ??= size) || more) await this.#record(file);
  }

  async #record({ url, version, size }: RemoteFile): Promise<void> {
    if (url !== undefined && version !== undefined)
      await this.cache.putRecord(url, { version, size, when: Date.now() });
  }

  async #check(name: string, signal: AbortSignal): Promise<RemoteFile> {
    signal.throwIfAborted();
    const url = this.source.url(name);
    const unknown = { name, url, version: undefined, size: undefined };
    const record = url === undefined ? undefined : await this.cache.record(url);
    if (!record) return unknown;
    if (!this.source.immutable && !(await this.#same(name, record.version, signal))) {
      // Nothing of the old version may be met again.
      await this.cache.drop();
      if (this.#unchecked) throw changed(url ?? name);
      return unknown;
    }
    if (record.missing !== undefined) throw new Missing(record.missing);
    return { name, url, version: record.version, size: record.size };
  }

  /** Whether a file has this version on its server; true if the server cannot be reached. */
  async #same(name: string, version: string, signal: AbortSignal): Promise<boolean> {
    let response: Response;
    try {
      response = await this.source.request(name, { method: "HEAD", signal });
    } catch {
      signal.throwIfAborted();
      return (this.#unchecked = true);
    }
    // A server that knows no HEAD.
    if (response.status === 405 || response.status === 501) return false;
    if (response.status >= 500) return (this.#unchecked = true);
    const gone = missing(response);
    if (gone && !gone.sure) throw new Missing(gone.why);
    return version === (gone ? NOTHING : versionOf(response, plainLength(response)));
  }

  #count(bytes: number): void {
    this.loaded += bytes;
    this.onBytes();
  }
}

interface Answer extends Omit<Opened, "stream"> {
  response: Response;
  /** Byte of the file at which the answer begins. */
  start: number;
}

/** The version of a file that does not exist. */
const NOTHING = "none";

/** Why an answer means that there is no such file, if it does. Servers of single-page apps answer with their page. */
function missing({ ok, status, headers }: Response): { why: string; sure: boolean } | undefined {
  if (!ok && status !== BEYOND) return { why: `HTTP ${status}`, sure: status === 404 || status === 410 };
  return headers.get("content-type")?.startsWith("text/html") ? { why: "a web page", sure: true } : undefined;
}

/** Compressed answers have the ETag of the plain ones, marked as weak or with a suffix. */
function versionOf(response: Response, size: number | undefined): string | undefined {
  const etag = response.headers
    .get("etag")
    ?.replace(/^W\//, "")
    .replace(/-(gzip|br|zstd)(?="$)/, "");
  return etag ?? response.headers.get("last-modified") ?? (size === undefined ? undefined : `${size} bytes`);
}

/** Length of the body in bytes, if it is not compressed on its way. */
function plainLength({ headers }: Response): number | undefined {
  const length = Number(headers.get("content-length") ?? NaN);
  return headers.has("content-encoding") || Number.isNaN(length) ? undefined : length;
}

function changed(what: string): OcelliError {
  return new OcelliError(
    "bad-checkpoint",
    `${what}: expected one version of it, found that it changes on its server: load the model again.`,
  );
}
