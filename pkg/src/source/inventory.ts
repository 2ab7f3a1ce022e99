import { OcelliError } from "../error.js";
import { folderUrl } from "./address.js";
import { clearLabels } from "../labels/index.js";
import { keys, type FileRecord } from "./cache.js";
import { forget, hubRoot, isHub } from "./hub.js";
import { storeOf } from "./stores.js";
import type { CachedModel, SourceOptions, StorageState } from "./types.js";

/** The folders with cached files. */
export async function cached({ cache }: SourceOptions): Promise<CachedModel[]> {
  const store = storeOf(cache);
  const folders = new Map<string, CachedModel>();
  for (const key of (await store?.keys()) ?? []) {
    const { url, bytes } = keys.parse(key);
    const name = url.slice(0, url.lastIndexOf("/") + 1);
    // What a branch of the hub stands for.
    if (url === name) continue;
    const folder = folders.get(name) ?? { url: name, bytes: 0, when: new Date() };
    folders.set(name, folder);
    folder.bytes += bytes;
    if (key !== keys.record(url)) continue;
    const { when } = JSON.parse(new TextDecoder().decode(await store?.get(key))) as FileRecord;
    if (when < folder.when.getTime()) folder.when = new Date(when);
  }
  return [...folders.values()];
}

/** Deletes one folder, a repository with all of its revisions, or everything including the embeddings of labels. */
export async function clear(source: string | URL | undefined, { cache, endpoint }: SourceOptions): Promise<void> {
  if (source !== undefined && typeof source !== "string" && !(source instanceof URL)) {
    throw new OcelliError("bad-input", `source: expected an address or "hf:owner/name", found ${typeof source}.`);
  }
  const prefix = source === undefined ? "" : isHub(source) ? hubRoot(source, endpoint) : folderUrl(source).href;
  await forget(storeOf(cache), prefix);
  // They go by what a model is, and not by where it came from.
  if (source === undefined) await clearLabels();
}

/** The browser's figures about this site's storage. */
export async function storage(persist: boolean): Promise<StorageState> {
  const { storage } = globalThis.navigator ?? {};
  const { usage, quota } = (await storage?.estimate?.()) ?? {};
  const persisted = (await (persist ? storage?.persist?.() : storage?.persisted?.())) ?? false;
  return { usage, quota, persisted };
}
