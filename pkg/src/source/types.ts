/** Bytes in memory that is not shared: since TypeScript 5.7 `Uint8Array<ArrayBuffer>`, which older versions do not know. */
export type Bytes = ReturnType<Uint8Array["slice"]>;

/** A file's content, or its address. */
export type FileContent = Blob | ArrayBuffer | Bytes | URL | string;

/**
 * Where a model's files are:
 * - the address of a folder, relative to the page: `"/models/ocelli-tiny/"`; a query goes along with every file;
 * - a repository of the Hugging Face hub: `"hf:google/siglip-base-patch16-224"`, also as `"hf:owner/name@revision/folder"`, or the
 *   address of its page;
 * - files by name, `{ "config.json": blob, … }`, whose values may also be addresses;
 * - a folder of the user's own, as `showDirectoryPicker()` and `<input type="file" webkitdirectory>` hand it out.
 */
export type ModelSource =
  string | URL | FileSystemDirectoryHandle | FileList | readonly File[] | Readonly<Record<string, FileContent>>;

/** Options for reading a {@link ModelSource}. */
export interface SourceOptions {
  /**
   * Branch, tag or commit of a repository on the hub, if the source names none. Default `"main"`. A load sees one commit only, whatever
   * is pushed meanwhile.
   */
  revision?: string | undefined;
  /** The hub's address, for mirrors. Default `"https://huggingface.co"`. */
  endpoint?: string | undefined;
  /**
   * A token of the hub's, for private repositories and for gated ones whose licence its account has accepted. It is sent to the origin of
   * {@link SourceOptions.endpoint} and to nobody else, and kept nowhere. A page that is for others must not have one in it.
   */
  accessToken?: string | undefined;
  /**
   * Used in place of the browser's own, for headers and the like: `fetch: (url, init) => fetch(url, { ...init, credentials: "include" })`.
   * It runs in the page, also for a model in a worker, to which bodies then go piece by piece.
   */
  fetch?: typeof globalThis.fetch | undefined;
  /**
   * Where files that were fetched are kept: with `true` (default) in the browser's Cache API, with `"opfs"` in its private file
   * system, or in a store of your own; `false` keeps nothing. A later load asks the server only whether a file has changed, goes on
   * where one broke off, and works without a network. With the text tower the tokenizer's files are kept along with the weights, though
   * only a text reads them, unless one is larger than 64 MB. A store that is full or forbidden is no error: the load goes on without it.
   */
  cache?: boolean | "opfs" | CacheAdapter | undefined;
}

/**
 * A store of bytes by key, for {@link SourceOptions.cache}. Values have up to 4 MB, tokenizers up to some 40 MB. Whatever it throws
 * ends storing, not the load.
 *
 * ```ts
 * const map = new Map<string, Uint8Array<ArrayBuffer>>();
 * const cache: CacheAdapter = {
 *   get: async (key) => map.get(key),
 *   put: async (key, bytes) => void map.set(key, bytes),
 *   delete: async (key) => void map.delete(key),
 *   keys: async () => [...map.keys()],
 * };
 * ```
 */
export interface CacheAdapter {
  /** Resolves to the value of a key, or undefined. */
  get(key: string): Promise<Bytes | undefined>;
  /** Stores a value. The store may keep `bytes` and must not change them. */
  put(key: string, bytes: Bytes): Promise<void>;
  /** Deletes a value; a key without a value is no error. */
  delete(key: string): Promise<void>;
  /** Resolves to the keys of all values, in any order. */
  keys(): Promise<string[]>;
}

/** A folder with cached files: see {@link Ocelli.cached}. */
export interface CachedModel {
  /** The folder's address; for a repository on the hub with the commit. */
  url: string;
  /** Bytes of the folder in the cache. */
  bytes: number;
  /** Time of the first request for the folder. */
  when: Date;
}

/** The browser's storage for this site: see {@link Ocelli.storage}. */
export interface StorageState {
  /** Bytes that the site uses, as far as the browser tells. */
  usage: number | undefined;
  /** Bytes that the site may use. */
  quota: number | undefined;
  /** Whether the browser has promised not to clear it automatically. */
  persisted: boolean;
}
