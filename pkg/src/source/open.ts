import { OcelliError } from "../error.js";
import { folderUrl, pageUrl } from "../start.js";
import { FolderCache } from "./cache.js";
import { Folder, type Source } from "./folder.js";
import { hubFolder, isHub } from "./hub.js";
import { Missing } from "./request.js";
import { storeOf } from "./stores.js";
import type { FileContent, ModelSource, SourceOptions } from "./types.js";

/**
 * Opens the folder that a {@link ModelSource} means.
 *
 * @throws {OcelliError} `bad-input` if it means none.
 */
export async function openFolder(source: ModelSource, options: SourceOptions, signal: AbortSignal): Promise<Folder> {
  const store = storeOf(options.cache);
  const request = options.fetch ?? ((...args: Parameters<typeof fetch>) => fetch(...args));
  if (typeof source !== "string" && !(source instanceof URL)) return new Folder(filesIn(source, request), await FolderCache.open(store, ownedBy(source)));
  const { folder, immutable } = isHub(source) ? await hubFolder(source, options, request, store, signal) : { folder: folderUrl(source), immutable: false };
  const url = (name: string) => new URL(name, folder).href;
  const remote: Source = { label: folder.href, url, immutable, request: (name, init) => request(url(name), init) };
  return new Folder(remote, await FolderCache.open(store, (url) => url.startsWith(folder.href)));
}

type Files = Exclude<ModelSource, string | URL>;

/** Files that are here already, or that are at an address each. */
function filesIn(source: Files, request: typeof fetch): Source {
  if (typeof source !== "object" || source === null) {
    throw new OcelliError("bad-input", `source: expected an address, a folder or files by name, found ${String(source)}.`);
  }
  const find = finder(source);
  return {
    label: "",
    immutable: false,
    url(name) {
      const file = byName(source)?.[name];
      return typeof file === "string" || file instanceof URL ? new URL(file, pageUrl()).href : undefined;
    },
    async request(name, init) {
      const url = this.url(name);
      if (url !== undefined) return request(url, init);
      const blob = await find(name);
      if (!blob) throw new Missing("none");
      const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(new Headers(init.headers).get("range") ?? "") ?? [];
      const body = start === undefined ? blob : blob.slice(Number(start), end ? Number(end) + 1 : blob.size);
      const range = start === undefined ? {} : { "content-range": `bytes ${start}-${Number(start) + body.size - 1}/${blob.size}` };
      return new Response(body.slice(0, body.size, ""), { status: start === undefined ? 200 : 206, headers: { "content-length": String(body.size), ...range } });
    },
  };
}

/** Finds a file's bytes. */
function finder(source: Files): (name: string) => Promise<Blob | undefined> {
  if (isDirectory(source)) {
    return async (name) => {
      try {
        return await (await source.getFileHandle(name)).getFile();
      } catch (error) {
        if ((error as DOMException).name === "NotFoundError") return undefined;
        throw new OcelliError("not-found", `${name}: cannot be read: ${String(error)}: choose the folder again.`, { cause: error });
      }
    };
  }
  const files = byName(source) ?? {};
  const blobs = new Map<string, Blob>();
  return async (name) => {
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (file === undefined || file instanceof Blob) return file;
    const blob = blobs.get(name) ?? new Blob([file as ArrayBuffer | Uint8Array<ArrayBuffer>]);
    blobs.set(name, blob);
    return blob;
  };
}

function isDirectory(source: Files): source is FileSystemDirectoryHandle {
  return typeof (source as FileSystemDirectoryHandle).getFileHandle === "function";
}

/** Files by their names in the folder; undefined for a directory, which has to be asked. */
function byName(source: Files): Readonly<Record<string, FileContent>> | undefined {
  if (isDirectory(source)) return undefined;
  if (!Array.isArray(source) && !(globalThis.FileList && source instanceof FileList)) return source as Record<string, FileContent>;
  const name = (file: File) => file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
  return Object.fromEntries(Array.from(source as Iterable<File>, (file) => [name(file), file]));
}

/** Whether an address is one of these files'. */
function ownedBy(source: Files): (url: string) => boolean {
  const urls = new Set(Object.values(byName(source) ?? {}).flatMap((file) => (typeof file === "string" || file instanceof URL ? [new URL(file, pageUrl()).href] : [])));
  return (url) => urls.has(url);
}
