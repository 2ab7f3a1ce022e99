import { OcelliError } from "../error.js";

/** The address of a model folder, with its last slash. */
export function folderUrl(folder: string | URL): URL {
  const url = wholeUrl(folder);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
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
