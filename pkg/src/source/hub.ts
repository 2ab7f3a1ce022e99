import { OcelliError } from "../error.js";
import type { CacheAdapter, SourceOptions } from "./types.js";

const SCHEME = "hf:";
const HUB = "https://huggingface.co";

export function isHub(source: string | URL): boolean {
  return String(source).startsWith(SCHEME);
}

/** Prefix of the addresses of all revisions of a repository. */
export function hubRoot(source: string | URL, endpoint = HUB): string {
  const id = String(source).slice(SCHEME.length);
  if (!/^[\w.-]+(\/[\w.-]+)?$/.test(id))
    throw new OcelliError("bad-input", `source: expected "hf:owner/name", found "${SCHEME}${id}".`);
  return `${endpoint.replace(/\/+$/, "")}/${id}/resolve/`;
}

/**
 * The folder of one commit of a repository: a branch may move while its files are fetched, a commit does not. The hub names it in a
 * header; a mirror that does not is a folder like any other. Without a network it is the commit that was met last.
 */
export async function hubFolder(
  source: string | URL,
  { revision = "main", endpoint }: SourceOptions,
  request: typeof fetch,
  store: CacheAdapter | undefined,
  signal: AbortSignal,
): Promise<{ folder: URL; immutable: boolean }> {
  const root = hubRoot(source, endpoint);
  const branch = `${root}${encodeURIComponent(revision)}/`;
  if (/^[0-9a-f]{40}$/.test(revision)) return { folder: new URL(branch), immutable: true };
  const key = `${branch}#commit`;
  const stored = await store?.get(key).catch(() => undefined);
  const before = stored && new TextDecoder().decode(stored);
  let now: string | null = null;
  try {
    const response = await request(`${branch}config.json`, { method: "HEAD", signal });
    now = response.headers.get("x-repo-commit");
    if (response.status < 500 && !now) return { folder: new URL(branch), immutable: false };
  } catch {
    signal.throwIfAborted();
  }
  const commit = now ?? before;
  if (commit === undefined) return { folder: new URL(branch), immutable: false };
  if (commit !== before) {
    await store?.put(key, new TextEncoder().encode(commit)).catch(() => {});
    if (before !== undefined) await forget(store, `${root}${before}/`);
  }
  return { folder: new URL(`${root}${commit}/`), immutable: true };
}

/** Deletes all values whose keys have this prefix. */
export async function forget(store: CacheAdapter | undefined, prefix: string): Promise<void> {
  const all = (await store?.keys().catch(() => undefined)) ?? [];
  await Promise.all(all.filter((key) => key.startsWith(prefix)).map((key) => store?.delete(key).catch(() => {})));
}
