import type { Bytes, CacheAdapter } from "./types.js";

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

/** Keys of a store. A file is cached in the pieces in which a load reads it, so a later load asks for the same bounds. */
export const keys = {
  record: (url: string) => `${url}#file`,
  piece: (url: string, version: string, start: number, end: number) => `${url}#${start}-${end}#${version}`,
  /** The address of a key, and the number of bytes under it. */
  parse(key: string): { url: string; bytes: number } {
    const [url = "", start, end] = key.split(/#(?:(\d+)-(\d+)#)?/, 3);
    return { url, bytes: end === undefined ? 0 : Number(end) - Number(start) };
  },
};

/** The part of a store that belongs to one folder. A store that fails ends storing; that is no error. */
export class FolderCache {
  #keys = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  #full = false;

  private constructor(
    readonly store: CacheAdapter | undefined,
    readonly owns: (url: string) => boolean,
  ) {}

  static async open(store: CacheAdapter | undefined, owns: (url: string) => boolean): Promise<FolderCache> {
    const cache = new FolderCache(store, owns);
    const all = (await store?.keys().catch(() => undefined)) ?? [];
    cache.#keys = new Set(all.filter((key) => owns(keys.parse(key).url)));
    return cache;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  async get(key: string): Promise<Bytes | undefined> {
    return this.has(key) ? this.store?.get(key).catch(() => undefined) : undefined;
  }

  /** Writes a value after the writes before it, so that few run at once. */
  async put(key: string, bytes: Bytes): Promise<void> {
    const before = this.#writing;
    this.#writing = before.then(async () => {
      if (this.#full) return;
      try {
        await this.store?.put(key, bytes);
        this.#keys.add(key);
      } catch {
        this.#full = true;
      }
    });
    await before;
  }

  async record(url: string): Promise<FileRecord | undefined> {
    const bytes = await this.get(keys.record(url));
    try {
      return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as FileRecord);
    } catch {
      return undefined;
    }
  }

  putRecord(url: string, record: FileRecord): Promise<void> {
    return this.put(keys.record(url), new TextEncoder().encode(JSON.stringify(record)));
  }

  /** Resolves when everything is written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Deletes the folder and stores nothing more of it. */
  abandon(): Promise<void> {
    this.#full = true;
    return this.drop();
  }

  /** Deletes the folder. */
  async drop(): Promise<void> {
    await this.#writing;
    const all = [...this.#keys];
    this.#keys.clear();
    await Promise.all(all.map((key) => this.store?.delete(key).catch(() => {})));
  }
}
