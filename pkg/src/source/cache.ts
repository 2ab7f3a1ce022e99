import type { CacheAdapter } from "./types.js";

/** What is known of a file that is kept, or of one that is not there. */
export interface FileRecord {
  /** What tells this file from another one at its address: its ETag, its date or its length. */
  version: string;
  /** Bytes, once that is known. */
  size?: number | undefined;
  /** How it showed that there is no such file. */
  missing?: string | undefined;
  /** When it was first asked for, in ms since 1970. */
  when: number;
}

/** Keys of a store. A file's bytes are kept in the pieces in which a load reads them: a part that is needed again has the same bounds. */
export const keys = {
  record: (url: string) => `${url}#file`,
  piece: (url: string, version: string, start: number, end: number) => `${url}#${start}-${end}#${version}`,
  /** The address, and how many bytes of it are behind this key. */
  parse(key: string): { url: string; bytes: number } {
    const [url = "", start, end] = key.split(/#(?:(\d+)-(\d+)#)?/, 3);
    return { url, bytes: end === undefined ? 0 : Number(end) - Number(start) };
  },
};

/** The part of a store that belongs to one folder. Troubles of the store end storing, and are no error. */
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

  async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.has(key) ? this.store?.get(key).catch(() => undefined) : undefined;
  }

  /** Waits for the writes before this one, so that few are under way at once. */
  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
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

  /** Waits until everything is written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Forgets the folder, and keeps nothing more of it. */
  abandon(): Promise<void> {
    this.#full = true;
    return this.drop();
  }

  /** Forgets the folder. */
  async drop(): Promise<void> {
    await this.#writing;
    const all = [...this.#keys];
    this.#keys.clear();
    await Promise.all(all.map((key) => this.store?.delete(key).catch(() => {})));
  }
}
