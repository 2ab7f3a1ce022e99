/** The address of a model folder, with its last slash. */
export function folderUrl(folder: string | URL): URL {
  const url = new URL(folder, baseUrl());
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** The page's address; a worker's own where there is no page. */
export function baseUrl(): string | undefined {
  return globalThis.document?.baseURI ?? globalThis.location?.href;
}
