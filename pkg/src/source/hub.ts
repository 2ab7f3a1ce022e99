import { OcelliError } from "../error.js";
import { withoutQuery } from "./address.js";
import type { CacheAdapter, SourceOptions } from "./types.js";

const SCHEME = "hf:";
const HUB = "https://huggingface.co";
/** Where the pages are from whose address bars people copy. */
const SITES = [HUB, "https://www.huggingface.co", "https://hf.co"];
/** What is on the hub beside models. */
const NO_OWNERS = ["datasets", "spaces", "models", "collections", "papers", "docs", "api", "blog"];

/** A folder of a repository. */
export interface Repository {
  /** `"owner/name"`. */
  id: string;
  /** As the address has it; undefined if it has none. */
  revision: string | undefined;
  /** Path in the repository, with its last slash; "" for the repository itself. */
  folder: string;
}

/** Whether a source is written as `hf:owner/name`. */
export function isHub(source: string | URL): boolean {
  return String(source).startsWith(SCHEME);
}

/**
 * What a source means on the hub: `hf:owner/name`, `hf:owner/name@revision/folder`, or the address of one of its pages. Undefined for
 * other addresses.
 *
 * @throws {OcelliError} `bad-input` if it begins with `hf:` and goes on otherwise.
 */
export function repositoryOf(source: string | URL, endpoint?: string): Repository | undefined {
  return isHub(source) ? written(String(source).slice(SCHEME.length)) : pasted(String(source), endpoint);
}

/** A revision has slashes in `refs/pr/1` alone, as in huggingface_hub; elsewhere they are written `%2F`. */
function written(text: string): Repository {
  const form = /^(?:\/\/)?([\w.-]+(?:\/[\w.-]+)?)(?:@(refs\/(?:pr|convert)\/[^/]+|[^/@]+))?((?:\/[^/?#]+)*)\/?$/;
  const [, id, revision, folder = ""] = form.exec(text) ?? [];
  if (id === undefined || (folder && !id.includes("/")) || /(^|\/)\.\.?(\/|$)/.test(id + folder)) {
    throw new OcelliError(
      "bad-input",
      `source: expected "hf:owner/name", "hf:owner/name/folder" or "hf:owner/name@revision/folder", found "${SCHEME}${text}".`,
    );
  }
  return {
    id,
    revision: revision === undefined ? undefined : decoded(revision),
    folder: folder && `${folder.slice(1)}/`,
  };
}

/** Of a file's page or download it is the folder that the file is in. Folders under `/resolve/` are addresses like any other. */
function pasted(address: string, endpoint: string | undefined): Repository | undefined {
  const roots = endpoint === undefined ? SITES : [trimmed(endpoint), ...SITES];
  const root = roots.find((root) => address.startsWith(`${root}/`));
  if (root === undefined) return undefined;
  const [owner = "", name, kind, revision, ...path] = withoutQuery(address.slice(root.length))
    .split("/")
    .filter(Boolean);
  if (name === undefined || NO_OWNERS.includes(owner)) return undefined;
  const id = `${owner}/${name}`;
  const isFile = kind === "blob" || kind === "raw" || (kind === "resolve" && /\.\w+$/.test(path.at(-1) ?? ""));
  if (revision !== undefined && (kind === "tree" || isFile)) {
    const folders = isFile ? path.slice(0, -1) : path;
    return { id, revision: decoded(revision), folder: folders.map((part) => `${part}/`).join("") };
  }
  // A mirror may have other things there.
  return kind === "resolve" || !SITES.includes(root) ? undefined : { id, revision: undefined, folder: "" };
}

/** Prefix of the addresses of all revisions of a repository. */
export function hubRoot({ id }: Repository, endpoint = HUB): string {
  return `${trimmed(endpoint)}/${id}/resolve/`;
}

/** The origin that repositories are asked of. */
export function hubOrigin(endpoint = HUB): string {
  return new URL(endpoint).origin;
}

/** Where a folder is. */
export interface Place {
  folder: URL;
  /** Whether it is of a commit, and never changes. */
  immutable: boolean;
  /** The repository's page, if it is of one. */
  page: string | undefined;
  /** What the branch now stands for, to be kept under `key`; and the prefix of addresses that it stood for before. */
  branch: { key: string; commit: string; before: string | undefined } | undefined;
}

/**
 * The folder of one commit of a repository: a branch may move while its files are fetched, a commit does not. The hub names it in a
 * header; a mirror that does not is a folder like any other. Without a network it is the commit that was met last.
 */
export async function hubFolder(
  repository: Repository,
  options: SourceOptions,
  request: typeof fetch,
  store: CacheAdapter | undefined,
  signal: AbortSignal,
): Promise<Place> {
  const revision = repository.revision ?? options.revision ?? "main";
  const root = hubRoot(repository, options.endpoint);
  const at = (revision: string, immutable: boolean, branch?: Place["branch"]): Place => ({
    folder: new URL(`${root}${encodeURIComponent(revision)}/${repository.folder}`),
    immutable,
    page: root.slice(0, -"/resolve/".length),
    branch,
  });
  if (/^[0-9a-f]{40}$/.test(revision)) return at(revision, true);
  const key = `${root}${encodeURIComponent(revision)}/#commit`;
  const stored = await store?.get(key).catch(() => undefined);
  const before = stored && new TextDecoder().decode(stored);
  const branch = at(revision, false);
  let now: string | null = null;
  try {
    const response = await request(`${branch.folder.href}config.json`, { method: "HEAD", signal });
    now = response.headers.get("x-repo-commit");
    if (response.status < 500 && !now) return branch;
  } catch {
    signal.throwIfAborted();
  }
  const commit = now ?? before;
  if (commit === undefined) return branch;
  if (commit === before) return at(commit, true);
  return at(commit, true, { key, commit, before: before && `${root}${before}/` });
}

function trimmed(endpoint: string): string {
  return endpoint.replace(/\/+$/, "");
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
