import { OcelliError } from "../error.js";
import { folderUrl, withoutQuery } from "./address.js";
import { clearLabels } from "../labels/index.js";
import { keys, readRecord } from "./cache.js";
import { hubRoot, repositoryOf } from "./hub.js";
import { storeOf } from "./stores.js";
import type { CacheAdapter, CachedModel, SourceOptions, StorageState } from "./types.js";

/** The folders with cached files. */
export async function cached({ cache }: SourceOptions): Promise<CachedModel[]> {
  const store = storeOf(cache);
  const folders = new Map<string, CachedModel>();
  for (const key of await keysOf(store)) {
    const { url, bytes } = keys.parse(key);
    const path = withoutQuery(url);
    const name = path.slice(0, path.lastIndexOf("/") + 1);
    // What a branch of the hub stands for.
    if (url === name) continue;
    const folder = folders.get(name) ?? { url: name, bytes: 0, when: new Date() };
    folders.set(name, folder);
    folder.bytes += bytes;
    if (key !== keys.record(url)) continue;
    // Another tab may have deleted it by now.
    const record = readRecord(await asked("read", () => store?.get(key)));
    if (record && record.when < folder.when.getTime()) folder.when = new Date(record.when);
  }
  return [...folders.values()];
}

/** Deletes one folder, a repository with all of its revisions, or everything including the embeddings of labels. */
export async function clear(source: string | URL | undefined, { cache, endpoint }: SourceOptions): Promise<void> {
  if (source !== undefined && typeof source !== "string" && !(source instanceof URL)) {
    throw new OcelliError("bad-input", `source: expected an address or "hf:owner/name", found ${typeof source}.`);
  }
  const store = storeOf(cache);
  const of = source === undefined ? () => true : partOf(source, endpoint);
  const all = (await keysOf(store)).filter(of);
  await Promise.all(all.map((key) => asked("cleared", () => store?.delete(key))));
  // They go by what a model is, and not by where it came from.
  if (source === undefined) await clearLabels();
}

/** Whether a key is of a source. */
function partOf(source: string | URL, endpoint: string | undefined): (key: string) => boolean {
  const repository = repositoryOf(source, endpoint);
  if (!repository) {
    const folder = withoutQuery(folderUrl(source).href);
    return (key) => key.startsWith(folder);
  }
  const root = hubRoot(repository, endpoint);
  return (key) => {
    if (!key.startsWith(root)) return false;
    const afterRevision = key.slice(key.indexOf("/", root.length) + 1);
    return afterRevision.startsWith(repository.folder);
  };
}

/** The browser's figures about this site's storage; none where it keeps nothing for this page. */
export async function storage(persist: boolean): Promise<StorageState> {
  const figures = async <T>(ask: (storage: StorageManager | undefined) => Promise<T> | undefined) => {
    try {
      return await ask(globalThis.navigator?.storage as StorageManager | undefined);
    } catch {
      return undefined;
    }
  };
  const { usage, quota } = (await figures((storage) => storage?.estimate?.())) ?? {};
  const persisted = (await figures((storage) => (persist ? storage?.persist?.() : storage?.persisted?.()))) ?? false;
  return { usage, quota, persisted };
}

/** All keys of a store. */
async function keysOf(store: CacheAdapter | undefined): Promise<string[]> {
  return (await asked("read", () => store?.keys())) ?? [];
}

/** What a store answers; undefined where this page may not store anything. */
async function asked<T>(what: string, ask: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "SecurityError") return undefined;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OcelliError("storage", `What is kept cannot be ${what} (${why}): try again, or clear this site's data.`, {
      cause,
    });
  }
}
