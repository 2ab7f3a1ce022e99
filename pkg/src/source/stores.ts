import { OcelliError } from "../error.js";
import type { CacheAdapter, SourceOptions } from "./types.js";

const NAME = "ocelli";

/** The store that the option names; undefined if nothing is to be cached or the browser has no such store. */
export function storeOf(cache: SourceOptions["cache"] = true): CacheAdapter | undefined {
  if (cache === false) return undefined;
  if (cache === true) return cachesHere() ? cacheApi : undefined;
  if (cache === "opfs")
    return (globalThis.navigator?.storage as Partial<StorageManager> | undefined)?.getDirectory && privateFiles;
  // In a worker it is a stand-in for the page's, which is a function.
  if (cache instanceof Object) return cache;
  throw new OcelliError("bad-input", `cache: expected true, false, "opfs" or an adapter, found ${String(cache)}.`);
}

/** Whether there is a Cache API. In a sandboxed frame even a look at it throws. */
function cachesHere(): boolean {
  try {
    return Boolean(globalThis.caches);
  } catch {
    return false;
  }
}

const numbers = new WeakMap<CacheAdapter, number>();

/** Names a store, for locks: an adapter of the user's own is known where it is used alone. */
export function nameOf(store: CacheAdapter): string {
  if (store === cacheApi) return "cache";
  if (store === privateFiles) return "opfs";
  if (!numbers.has(store)) numbers.set(store, Math.random());
  return String(numbers.get(store));
}

const entry = (key: string) => `https://ocelli.invalid/${encodeURIComponent(key)}`;

const cacheApi: CacheAdapter = {
  async get(key) {
    const found = await (await caches.open(NAME)).match(entry(key));
    return found && new Uint8Array(await found.arrayBuffer());
  },
  async put(key, bytes) {
    // Of bytes themselves Chromium makes the body on this thread, which takes more than twice as long.
    await (await caches.open(NAME)).put(entry(key), new Response(new Blob([bytes])));
  },
  async delete(key) {
    await (await caches.open(NAME)).delete(entry(key));
  },
  async keys() {
    const requests = await (await caches.open(NAME)).keys();
    return requests.map(({ url }) => decodeURIComponent(new URL(url).pathname.slice(1)));
  },
};

/** Names have at most 255 bytes, so a long key is a path. A folder's name ends with "+", which no key has once it is encoded. */
function path(key: string): { folders: string[]; name: string } {
  const folders = encodeURIComponent(key).match(/.{1,150}/g) ?? [];
  const name = folders.pop() ?? "";
  return { folders: folders.map((part) => `${part}+`), name: `${name}-` };
}

async function folderOf(key: string, create: boolean): Promise<FileSystemDirectoryHandle> {
  let folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(NAME, { create: true });
  for (const part of path(key).folders) folder = await folder.getDirectoryHandle(part, { create });
  return folder;
}

const privateFiles: CacheAdapter = {
  async get(key) {
    const file = await (await folderOf(key, false)).getFileHandle(path(key).name);
    return new Uint8Array(await (await file.getFile()).arrayBuffer());
  },
  async put(key, bytes) {
    const file = await (await folderOf(key, true)).getFileHandle(path(key).name, { create: true });
    const writable = await file.createWritable();
    try {
      await writable.write(bytes);
      await writable.close();
    } catch (error) {
      await writable.abort().catch(() => {});
      throw error;
    }
  },
  async delete(key) {
    try {
      await (await folderOf(key, false)).removeEntry(path(key).name);
    } catch (error) {
      if ((error as DOMException).name !== "NotFoundError") throw error;
    }
  },
  async keys() {
    const found: string[] = [];
    const walk = async (folder: FileSystemDirectoryHandle, before: string): Promise<void> => {
      for await (const [name, handle] of folder.entries()) {
        const part = before + name.slice(0, -1);
        if (handle.kind === "directory") await walk(handle as FileSystemDirectoryHandle, part);
        else found.push(decodeURIComponent(part));
      }
    };
    await walk(await folderOf("", false), "");
    return found;
  },
};
