import { OcelliError } from "../error.js";

/** The address of a model folder, with its last slash. Its query, if it has one, goes along with the name of every file. */
export function folderUrl(folder: string | URL): URL {
  const url = wholeUrl(folder);
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

/**
 * An address as seen from the page, or from a worker where there is no page.
 *
 * @throws {OcelliError} With code `bad-input`, if it is none, or is relative where nothing has a folder.
 */
export function wholeUrl(address: string | URL): URL {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  try {
    return new URL(address, base);
  } catch (cause) {
    const where = /^(blob|data):/.exec(base ?? "")?.[0];
    const why = where ? `, because this is a worker made from a ${where} address, which has no folder` : "";
    throw new OcelliError("bad-input", `${String(address)}: expected a whole address (https://…)${why}.`, { cause });
  }
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
