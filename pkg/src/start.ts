import { OcelliError } from "./error.js";
import init from "../wasm/ocelli.js";

/** The wasm module is shared by all models; a failed start is forgotten, so that the next load tries again. */
let started: Promise<unknown> | undefined;

export function start(wasmUrl: string | URL | undefined): Promise<unknown> {
  started ??= init(wasmUrl === undefined ? undefined : { module_or_path: wasmUrl }).catch((cause: unknown) => {
    started = undefined;
    throw new OcelliError(
      "not-found",
      `ocelli_bg.wasm cannot be started (${String(cause)}): serve it beside the package's code, or pass wasmUrl.`,
      { cause },
    );
  });
  return started;
}

/** The address of a model folder, with its last slash. */
export function folderUrl(folder: string | URL): URL {
  const url = new URL(folder, pageUrl());
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** The page's address; a worker's own where there is no page. */
export function pageUrl(): string {
  return globalThis.document?.baseURI ?? globalThis.location?.href ?? "";
}
