import type { Piece } from "./remote.js";
import type { Bytes, CacheAdapter } from "./types.js";

/** Values that are written at once; each is in memory until then. */
const AT_ONCE = 4;

/** The record of a cached file, or of one that does not exist. */
export interface FileRecord {
  /** Identifies the version of the file: its ETag, else its date, else its length. */
  version: string;
  /** Size in bytes, once it is known. */
  size?: number | undefined;
  /** Why there is no such file, such as "HTTP 404"; undefined if there is one. */
  missing?: string | undefined;
  /** Time of the first request, in ms since 1970. */
  when: number;
}

/** How many bytes are kept of a piece. */
export const lengthOf = ({ start, end, packed }: Piece): number => packed?.bytes ?? end - start;

/**
 * Keys of a store. A file is cached in the pieces in which a load reads it, so a later load asks for the same bounds. A piece that was
 * converted has the bounds of what is kept of it, and before the version the end of its bytes in the file, and its form.
 */
export const keys = {
  record: (url: string) => `${url}#file`,
  piece(url: string, version: string, piece: Piece): string {
    const { start, end, packed } = piece;
    return `${url}#${start}-${start + lengthOf(piece)}#${packed ? `${end}:${packed.name}#` : ""}${version}`;
  },
  /** Whether a key is that of the same bytes in another form. */
  isOther(key: string, url: string, version: string, { start, end, packed }: Piece): boolean {
    if (packed && key === keys.piece(url, version, { start, end })) return true;
    if (!key.startsWith(`${url}#${start}-`) || !key.endsWith(`#${version}`)) return false;
    const [, found] = key.split(`#${end}:`);
    return found !== undefined && found.split("/")[0] !== packed?.name.split("/")[0];
  },
  /** The address of a key, and the number of bytes under it. */
  parse(key: string): { url: string; bytes: number } {
    const [url = "", start, end] = key.split(/#(?:(\d+)-(\d+)#)?/, 3);
    return { url, bytes: end === undefined ? 0 : Number(end) - Number(start) };
  },
};

/** Which addresses in a store are a folder's. */
export interface Owned {
  /** What loads have in common that read the same files; undefined if none of them has an address. */
  name: string | undefined;
  owns(url: string): boolean;
  /** Whether it is an earlier address of one of these files, which nobody will ask for again: another query, another commit. */
  replaces(url: string): boolean;
}

/**
 * The part of a store that belongs to one folder. Nothing is written before {@link FolderCache.commit}: what turns out to be no model
 * leaves nothing. A store that fails ends storing; that is no error.
 */
export class FolderCache {
  #keys = new Set<string>();
  #replaced: string[] = [];
  /** What is to be written once this is known to be a model; undefined from then on. */
  #waiting: Map<string, Bytes> | undefined = new Map();
  /** Writes that go on, by key, and `""` for what is deleted. */
  readonly #writing = new Map<string, Promise<void>>();
  #full = false;

  private constructor(
    readonly store: CacheAdapter | undefined,
    readonly owned: Owned,
  ) {}

  static async open(store: CacheAdapter | undefined, owned: Owned): Promise<FolderCache> {
    const cache = new FolderCache(store, owned);
    await cache.look();
    return cache;
  }

  /** Looks what is in the store now. */
  async look(): Promise<void> {
    const all = (await quietly(() => this.store?.keys())) ?? [];
    this.#keys = new Set(all.filter((key) => this.owned.owns(keys.parse(key).url)));
    this.#replaced = all.filter((key) => this.owned.replaces(keys.parse(key).url));
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  async get(key: string): Promise<Bytes | undefined> {
    if (!this.has(key)) return undefined;
    const bytes = await quietly(() => this.store?.get(key));
    if (!bytes) this.distrust();
    return bytes;
  }

  /** Something is not there that should be, or is broken; another tab may have cleared it. Nothing that was there is asked for any more. */
  distrust(): void {
    this.#keys.clear();
  }

  /**
   * Writes a value; then what it stands in place of is deleted. Resolves as soon as another one may be written: a few go on at once,
   * because most of a write is waiting.
   */
  async put(key: string, bytes: Bytes, replaces = (_: string): boolean => false): Promise<void> {
    if (this.#waiting) return void this.#waiting.set(key, bytes);
    this.#after(key, async () => {
      if (this.#full) return;
      try {
        await this.store?.put(key, bytes);
        const others = [...this.#keys].filter(replaces);
        this.#keys.add(key);
        for (const other of others) this.#keys.delete(other);
        await this.#delete(others);
      } catch {
        this.#full = true;
      }
    });
    while (this.#writing.size >= AT_ONCE) await Promise.race(this.#writing.values());
  }

  /** Does something after what was to be done before under the same key. */
  #after(key: string, work: () => Promise<void>): void {
    const done = (this.#writing.get(key) ?? Promise.resolve()).then(work).then(() => {
      if (this.#writing.get(key) === done) this.#writing.delete(key);
    });
    this.#writing.set(key, done);
  }

  /** This is a model: it is kept from now on, in place of what it replaces. */
  commit(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    const replaced = this.#replaced.splice(0);
    this.#after("", () => this.#delete(replaced));
    for (const [key, bytes] of waiting) void this.put(key, bytes);
  }

  async record(url: string): Promise<FileRecord | undefined> {
    return readRecord(await this.get(keys.record(url)));
  }

  putRecord(url: string, record: FileRecord): Promise<void> {
    return this.put(keys.record(url), new TextEncoder().encode(JSON.stringify(record)));
  }

  /** Resolves when everything is written. */
  async settled(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing.values());
  }

  /** Deletes the folder and stores nothing more of it. */
  abandon(): Promise<void> {
    this.#full = true;
    return this.drop();
  }

  /** Deletes the folder. */
  async drop(): Promise<void> {
    await this.settled();
    await this.look();
    const all = [...this.#keys];
    this.#keys.clear();
    await this.#delete(all);
  }

  async #delete(all: string[]): Promise<void> {
    await Promise.all(all.map((key) => quietly(() => this.store?.delete(key))));
  }
}

/** The record in a store's value, if it is one. */
export function readRecord(bytes: Bytes | undefined): FileRecord | undefined {
  try {
    return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as FileRecord);
  } catch {
    return undefined;
  }
}

/** A store's answer; undefined if it fails. */
async function quietly<T>(ask: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await ask();
  } catch {
    return undefined;
  }
}
