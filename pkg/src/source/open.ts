import { OcelliError } from "../error.js";
import { withAccess } from "./access.js";
import { fileUrl, folderUrl, keptUrl, wholeUrl, withoutQuery } from "./address.js";
import { FolderCache } from "./cache.js";
import { Folder, type FileSource } from "./folder.js";
import { hubFolder, isHub, repositoryOf, type Place } from "./hub.js";
import { heed, Missing } from "./request.js";
import { storeOf } from "./stores.js";
import type { Bytes, ModelSource, SourceOptions } from "./types.js";

/** A {@link ModelSource} that can be posted to a worker and means the same there. */
export type PlainSource = string | FileSystemDirectoryHandle | Files;

/** Files by name; a string is an address. */
type Files = Readonly<Record<string, Blob | ArrayBuffer | Bytes | string>>;

/** Makes a source postable. @throws {OcelliError} `bad-input` if it is no source. */
export function plainSource(source: ModelSource): PlainSource {
  if (typeof source === "string" || source instanceof URL)
    return isHub(source) ? String(source) : folderUrl(source).href;
  if (typeof source !== "object" || source === null) {
    throw new OcelliError(
      "bad-input",
      `source: expected an address, a folder or files by name, found ${String(source)}.`,
    );
  }
  if (isDirectory(source)) return source;
  if (Array.isArray(source) || (globalThis.FileList && source instanceof FileList)) {
    // Of a chosen folder a file has its path, which begins with the folder's own name.
    const name = (file: File) => file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
    return Object.fromEntries(Array.from(source as Iterable<File>, (file) => [name(file), file]));
  }
  const absolute = (file: unknown) => (typeof file === "string" || file instanceof URL ? wholeUrl(file).href : file);
  return Object.fromEntries(
    Object.entries(source).flatMap(([name, file]) => (file ? [[name, absolute(file)]] : [])),
  ) as Files;
}

/** Opens the folder of a source. */
export async function openFolder(source: PlainSource, options: SourceOptions, signal: AbortSignal): Promise<Folder> {
  const store = storeOf(options.cache);
  const own = withAccess(options.fetch ?? ((...args: Parameters<typeof fetch>) => fetch(...args)), options);
  const request: typeof fetch = async (url, init) => {
    try {
      return await heed(own(url, init), init?.signal ?? signal);
    } catch (error) {
      init?.signal?.throwIfAborted();
      // No network is between: an extension, for one, has no other answer for a file that is not there.
      throw keptUrl(String(url)) === undefined ? new Missing("none") : error;
    }
  };
  if (typeof source !== "string") {
    const urls = Object.values(source).filter((file) => typeof file === "string");
    const kept = new Set(urls.flatMap((url) => keptUrl(url) ?? []));
    const plain = new Set([...kept].map(withoutQuery));
    const cache = await FolderCache.open(store, {
      name: kept.size > 0 ? [...kept].join() : undefined,
      owns: (url) => kept.has(url),
      replaces: (url) => !kept.has(url) && plain.has(withoutQuery(url)),
    });
    return new Folder(filesIn(source, request), cache);
  }
  const repository = repositoryOf(source, options.endpoint);
  const { folder, immutable, page, branch }: Place = repository
    ? await hubFolder(repository, options, request, store, signal)
    : { folder: new URL(source), immutable: false, page: undefined, branch: undefined };
  const label = withoutQuery(folder.href);
  const url = (name: string) => fileUrl(name, folder);
  const query = (url: string | undefined) => (url === undefined ? "" : new URL(url).search);
  const kept = query(keptUrl(folder.href));
  const cache = await FolderCache.open(store, {
    name: label + kept,
    owns: (url) => url.startsWith(label) && query(url) === kept,
    replaces: (url) =>
      (url.startsWith(label) && query(url) !== kept) || (branch?.before !== undefined && url.startsWith(branch.before)),
  });
  if (branch) await cache.put(branch.key, new TextEncoder().encode(branch.commit));
  const hub = page === undefined ? undefined : { page, asked: options.accessToken !== undefined };
  return new Folder({ label, url, immutable, hub, request: (name, init) => request(url(name), init) }, cache);
}

/** A source of files that are in memory or on disk, or that have an address each. */
function filesIn(source: FileSystemDirectoryHandle | Files, request: typeof fetch): FileSource {
  const find = isDirectory(source) ? inDirectory(source) : byName(source);
  return {
    label: "",
    immutable: false,
    hub: undefined,
    url(name) {
      const file = isDirectory(source) ? undefined : source[name];
      return typeof file === "string" ? file : undefined;
    },
    async request(name, init) {
      const url = this.url(name);
      if (url !== undefined) return request(url, init);
      const blob = await find(name);
      if (!blob) throw new Missing("none");
      const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(new Headers(init.headers).get("range") ?? "") ?? [];
      const body = start === undefined ? blob : blob.slice(Number(start), end ? Number(end) + 1 : blob.size);
      const range =
        start === undefined ? {} : { "content-range": `bytes ${start}-${Number(start) + body.size - 1}/${blob.size}` };
      // Without the type that the file is said to have: it is no web page.
      return new Response(body.slice(0, body.size, ""), {
        status: start === undefined ? 200 : 206,
        headers: { "content-length": String(body.size), ...range },
      });
    },
  };
}

type Find = (name: string) => Promise<Blob | undefined>;

function inDirectory(directory: FileSystemDirectoryHandle): Find {
  return async (name) => {
    try {
      const path = name.split("/");
      const file = path.pop() as string;
      let folder = directory;
      for (const part of path) folder = await folder.getDirectoryHandle(part);
      return await (await folder.getFileHandle(file)).getFile();
    } catch (error) {
      if ((error as DOMException).name === "NotFoundError") return undefined;
      throw new OcelliError("not-found", `${name}: cannot be read: ${String(error)}: choose the folder again.`, {
        cause: error,
      });
    }
  };
}

function byName(files: Files): Find {
  const blobs = new Map<string, Blob>();
  return async (name) => {
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (file === undefined || file instanceof Blob) return file;
    const blob = blobs.get(name) ?? new Blob([file]);
    blobs.set(name, blob);
    return blob;
  };
}

function isDirectory(source: object): source is FileSystemDirectoryHandle {
  return "getFileHandle" in source && typeof source.getFileHandle === "function";
}
