/** The address of a model folder, with its last slash. Its query, if it has one, goes along with the name of every file. */
export function folderUrl(folder: string | URL): URL {
  const url = new URL(folder, baseUrl());
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  url.hash = "";
  return url;
}

/** The address of a file in a folder. */
export function fileUrl(name: string, folder: URL): string {
  const url = new URL(name, folder);
  url.search = folder.search;
  return url.href;
}

/** The page's address; a worker's own where there is no page. */
export function baseUrl(): string | undefined {
  return globalThis.document?.baseURI ?? globalThis.location?.href;
}

/** Parameters that say who may read a file and how long, and not which file it is: of S3, CloudFront, Google, Azure, and tokens. */
const SIGNING =
  /^(x-(amz|goog)-.*|(aws|google|oss)access(key)?id|key-pair-id|policy|expires|signature|s[vrpte]|srt|ss|sip|spr|sdd|sk(oid|tid|t|e|s|v)|sig|(access_?)?token)$/i;

/**
 * The address that a file is kept under: without what signs it, which changes from visit to visit. Undefined for what is on this device
 * anyway: `blob:`, `data:`, an extension's own files.
 */
export function keptUrl(address: string): string | undefined {
  const url = new URL(address);
  if (url.protocol !== "https:" && url.protocol !== "http:") return undefined;
  url.hash = "";
  for (const name of [...url.searchParams.keys()]) if (SIGNING.test(name)) url.searchParams.delete(name);
  return url.href;
}

/** An address without its query. */
export function withoutQuery(address: string): string {
  return address.split(/[?#]/, 1)[0] as string;
}

/** A query for messages, which end up in reports: without its secrets. */
export function shownQuery(address: string): string {
  const { protocol, search, searchParams } = new URL(address);
  if (!protocol.startsWith("http") || !search) return "";
  const shown = [...searchParams].map(([name, value]) => {
    if (SIGNING.test(name)) return `${name}=…`;
    return value.length > 12 ? `${name}=${value.slice(0, 4)}…` : `${name}=${value}`;
  });
  return `?${shown.join("&")}`;
}

/** An address for messages. */
export function shownUrl(address: string): string {
  return address.startsWith("data:") ? "data:…" : withoutQuery(address) + shownQuery(address);
}
