import { OcelliError } from "../error.js";
import { keptUrl, shownQuery, shownUrl } from "./address.js";
import { advice, isRefusal, type HubPage } from "./advice.js";
import { ByteStream } from "./stream.js";
import { FolderCache, keys, lengthOf } from "./cache.js";
import { lock } from "./lock.js";
import type { Opened, Opener, Piece, RemoteFile } from "./remote.js";
import {
  BEYOND,
  discard,
  heed,
  mended,
  Missing,
  patiently,
  rangeHeader,
  type Answered,
  type Range,
} from "./request.js";
import { nameOf } from "./stores.js";
import { TensorFile } from "./tensors.js";
import type { Bytes } from "./types.js";

/** A place of files. It answers requests as a server does. */
export interface FileSource {
  /** Prefix of file names in messages: an address with its last slash. */
  label: string;
  /** The file's address; undefined for files that have none. */
  url(name: string): string | undefined;
  /** Whether files at these addresses never change. */
  immutable: boolean;
  /** The repository that this is a folder of, if it is of one. */
  hub: HubPage | undefined;
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
  /** What to do about the last file that was not there. */
  #advice = "";
  /** Whether that file is not for us. */
  #gated = false;
  /** Whether a cached file was used without asking the server, because the network was down. */
  #unchecked = false;

  constructor(
    readonly source: FileSource,
    readonly cache: FolderCache,
  ) {}

  get label(): string {
    return this.source.label;
  }

  /** Waits for another load of these files, so that this one finds them in the cache. Returns what lets the next one go on. */
  async lock(signal: AbortSignal): Promise<() => void> {
    const { store, owned } = this.cache;
    if (!store || owned.name === undefined) return () => {};
    const progress = async () => (await store.keys().catch(() => [])).length;
    const { waited, release } = await lock(`ocelli.load ${nameOf(store)} ${owned.name}`, progress, signal);
    if (waited) await this.cache.look();
    return release;
  }

  /** An error of a load, with a word on what to do about files that were not there. */
  explain(error: unknown): unknown {
    const { code, message } = error as { code?: unknown; message: string };
    if (code !== "not-found" || !this.#advice) return error;
    return new OcelliError(this.#gated ? "gated" : "not-found", `${message} ${this.#advice}`, { cause: error });
  }

  /** Reads a whole file. */
  async whole(name: string, signal: AbortSignal): Promise<Bytes> {
    const file = await this.file(name, signal);
    const kept = file.size === undefined ? undefined : await this.kept(file, { start: 0, end: file.size });
    if (kept) return kept;
    const { stream, length } = await this.open(file, undefined, signal);
    return this.#wholeOf(file, await stream.rest(length));
  }

  /** Caches a whole file, unless it is cached already or larger than `most` bytes. `expected` gets the bytes that will come. */
  async hold(name: string, most: number, expected: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const file = await this.file(name, signal);
    if (file.size !== undefined && (file.size > most || this.has(file, { start: 0, end: file.size }))) return;
    const { stream, length } = await this.open(file, undefined, signal);
    if (length !== undefined && length > most) return stream.cancel();
    expected(length ?? 0);
    await this.#wholeOf(file, await stream.rest(length));
  }

  /** Reads bytes `start` to `end` of a file. The server must support ranges. */
  async part(name: string, start: number, end: number, signal: AbortSignal): Promise<Bytes> {
    const file = await this.file(name, signal);
    const kept = await this.kept(file, { start, end });
    if (kept) return kept;
    const { stream, whole } = await this.open(file, { start, end }, signal);
    const bytes = whole ? undefined : await stream.read(end - start);
    stream.cancel();
    if (bytes?.byteLength === end - start) {
      await this.keep(file, { start, end }, bytes);
      return bytes;
    }
    throw new OcelliError(
      "not-found",
      `${file.shown}: expected bytes ${start} to ${end}, found ${bytes ? `${bytes.byteLength} bytes` : "the whole file"}: ` +
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

  has({ kept, version }: RemoteFile, piece: Piece): boolean {
    return kept !== undefined && version !== undefined && this.cache.has(keys.piece(kept, version, piece));
  }

  async kept({ kept, version }: RemoteFile, piece: Piece): Promise<Bytes | undefined> {
    if (kept === undefined || version === undefined) return undefined;
    const bytes = await this.cache.get(keys.piece(kept, version, piece));
    if (bytes && bytes.byteLength !== lengthOf(piece)) this.cache.distrust();
    if (bytes?.byteLength !== lengthOf(piece)) return undefined;
    this.#count(bytes.byteLength);
    return bytes;
  }

  async keep({ kept, version }: RemoteFile, piece: Piece, bytes: Bytes): Promise<void> {
    if (kept === undefined || version === undefined) return;
    await this.cache.put(keys.piece(kept, version, piece), bytes, (key) => keys.isOther(key, kept, version, piece));
  }

  /** Requests a file, or a range of it. */
  async open(file: RemoteFile, range: Range | undefined, signal: AbortSignal): Promise<Opened> {
    const first = await this.#ask(file, range, signal);
    const end = first.length === undefined ? undefined : first.start + first.length;
    const again = (from: number) =>
      this.#ask(file, { start: from, end: range && !first.whole ? range.end : undefined }, signal);
    const stream = new ByteStream(mended(file.shown, first, end, again, signal), (count) => {
      this.downloaded += count;
      this.#count(count);
    });
    return { stream, length: first.length, whole: first.whole };
  }

  /** Caches a file that has arrived as a whole, and records its length. */
  async #wholeOf(file: RemoteFile, bytes: Bytes): Promise<Bytes> {
    if (file.size !== bytes.byteLength) {
      file.size = bytes.byteLength;
      await this.#record(file);
    }
    await this.keep(file, { start: 0, end: bytes.byteLength }, bytes);
    return bytes;
  }

  async #ask(file: RemoteFile, range: Range | undefined, signal: AbortSignal): Promise<Answer> {
    const init: RequestInit = { signal, ...(range && { headers: rangeHeader(range) }) };
    const response = await patiently(file.shown, () => this.source.request(file.name, init), signal);
    const gone = this.#missing(file.name, response);
    if (gone) {
      discard(response.body);
      if (file.kept !== undefined && gone.sure)
        await this.cache.putRecord(file.kept, { version: NOTHING, missing: gone.why, when: Date.now() });
      throw new Missing(gone.why);
    }
    if (response.status === BEYOND) {
      discard(response.body);
      return { body: EMPTY(), length: 0, whole: false, start: range?.start ?? 0, beyond: true };
    }
    const length = saidLength(response);
    if (response.status !== 206) return this.#whole(file, range, response, length, signal);
    const [, from, total] = /^bytes (\d+)-\d+\/(\d*)/.exec(response.headers.get("content-range") ?? "") ?? [];
    const size = total ? Number(total) : undefined;
    const start = Number(from ?? range?.start);
    if (start !== range?.start) {
      throw new OcelliError(
        "not-found",
        `${file.shown}: expected bytes from ${range?.start ?? 0} on, found them from ${start} on: its server does not answer Range requests correctly.`,
      );
    }
    const version = versionOf(response) ?? (file.version === undefined ? byLength(size) : undefined);
    await this.#meet(file, version, size);
    return { body: response.body ?? EMPTY(), length, whole: false, start, beyond: false };
  }

  /**
   * An answer with status 200. To a request for a range it is the whole file; but extensions, and apps that answer for themselves, send
   * the range's bytes with this status. No header is to be relied on, so the body tells: whether it goes on after the range, or ends.
   */
  async #whole(
    file: RemoteFile,
    range: Range | undefined,
    response: Response,
    length: number | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    let body = response.body ?? EMPTY();
    if (range && file.ranges200 === undefined) {
      if (range.start > 0 || range.end === undefined) {
        // Only from the first byte on it is known what the answers have to be.
        discard(body);
        discard((await this.#ask(file, { start: 0, end: 1 }, signal)).body);
        file.ranges200 ??= false;
        return this.#ask(file, range, signal);
      }
      const [probe, rest] = body.tee();
      body = rest;
      file.ranges200 = await endsWithin(probe, range.end, signal);
    }
    const whole = !(range && file.ranges200);
    await this.#meet(file, versionOf(response) ?? (whole ? byLength(length) : undefined), undefined);
    return { body, length: whole ? length : undefined, whole, start: whole ? 0 : range.start, beyond: false };
  }

  /** Compares version and size in an answer with those that are known. */
  async #meet(file: RemoteFile, version: string | undefined, size: number | undefined): Promise<void> {
    const differs = (a: unknown, b: unknown) => a !== undefined && b !== undefined && a !== b;
    if (differs(version, file.version) || differs(size, file.size)) throw changed(file.shown);
    const more = file.version !== (file.version ??= version);
    if (file.size !== (file.size ??= size) || more) await this.#record(file);
  }

  async #record({ kept, version, size }: RemoteFile): Promise<void> {
    if (kept !== undefined && version !== undefined)
      await this.cache.putRecord(kept, { version, size, when: Date.now() });
  }

  async #check(name: string, signal: AbortSignal): Promise<RemoteFile> {
    signal.throwIfAborted();
    const url = this.source.url(name);
    const shown = url === undefined ? name : shownUrl(url);
    const kept = url === undefined ? undefined : keptUrl(url);
    const unknown = { name, shown, kept, version: undefined, size: undefined };
    const record = kept === undefined ? undefined : await this.cache.record(kept);
    if (!record) return unknown;
    if (!this.source.immutable && !(await this.#same(name, record.version, signal))) {
      // Nothing of the old version may be met again.
      await this.cache.drop();
      if (this.#unchecked) throw changed(shown);
      return unknown;
    }
    if (record.missing !== undefined) throw new Missing(record.missing);
    return { ...unknown, version: record.version, size: record.size };
  }

  /** Whether a file has this version on its server; true if the server cannot be reached. */
  async #same(name: string, version: string, signal: AbortSignal): Promise<boolean> {
    let response: Response;
    try {
      response = await this.source.request(name, { method: "HEAD", signal });
      // A server that knows no HEAD, or an address that was signed for GET alone.
      if ([401, 403, 405, 501].includes(response.status)) {
        response = await this.source.request(name, { headers: rangeHeader({ start: 0, end: 1 }), signal });
        discard(response.body);
      }
    } catch {
      signal.throwIfAborted();
      return (this.#unchecked = true);
    }
    if (response.status >= 500) return (this.#unchecked = true);
    const gone = this.#missing(name, response);
    if (gone && !gone.sure) throw new Missing(gone.why);
    if (gone) return version === NOTHING;
    const [, total] = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    return version === (versionOf(response) ?? byLength(total ? Number(total) : saidLength(response)));
  }

  /** Why an answer means that there is no such file, if it does. Servers of single-page apps answer with their page. */
  #missing(name: string, { ok, status, headers }: Response): { why: string; sure: boolean } | undefined {
    const page = headers.get("content-type")?.startsWith("text/html");
    if ((ok || status === BEYOND) && !page) return undefined;
    const url = this.source.url(name);
    const { hub } = this.source;
    this.#advice = advice(status, url, hub);
    this.#gated = hub !== undefined && isRefusal(status);
    if (ok) return { why: "a web page", sure: true };
    const query = url === undefined ? "" : shownQuery(url);
    return { why: `HTTP ${status}${query && ` (asked with ${query})`}`, sure: status === 404 || status === 410 };
  }

  #count(bytes: number): void {
    this.loaded += bytes;
    this.onBytes();
  }
}

interface Answer extends Omit<Opened, "stream">, Answered {}

/** The version of a file that does not exist. */
const NOTHING = "none";

const EMPTY = () => new Blob([]).stream();

/** Whether a body ends within so many bytes; undefined if it breaks off. */
async function endsWithin(body: Answered["body"], bytes: number, signal: AbortSignal): Promise<boolean | undefined> {
  const reader = body.getReader();
  try {
    for (let count = 0; count <= bytes;) {
      const { done, value } = await heed(reader.read(), signal);
      if (done) return true;
      count += value.byteLength;
    }
    return false;
  } catch {
    signal.throwIfAborted();
    return undefined;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Compressed answers have the ETag of the plain ones, marked as weak or with a suffix. */
function versionOf({ headers }: Response): string | undefined {
  const etag = headers
    .get("etag")
    ?.replace(/^W\//, "")
    .replace(/-(gzip|br|zstd)(?="$)/, "");
  return etag ?? headers.get("last-modified") ?? undefined;
}

/** The version of a file of which nothing but its length is known. */
function byLength(length: number | undefined): string | undefined {
  return length === undefined ? undefined : `${length} bytes`;
}

/**
 * The length of a body as its server says. From another origin a page does not see whether the body is compressed, and this is the
 * compressed length then: so it is a hint, and where the body ends decides.
 */
function saidLength({ headers }: Response): number | undefined {
  const length = Number(headers.get("content-length") ?? NaN);
  return headers.has("content-encoding") || Number.isNaN(length) ? undefined : length;
}

function changed(what: string): OcelliError {
  return new OcelliError(
    "bad-checkpoint",
    `${what}: expected one version of it, found that it changes on its server: load the model again.`,
  );
}
