import { OcelliError } from "../error.js";
import { folderUrl } from "./address.js";
import type { ModelSource } from "./types.js";

const TOKEN =
  "fetch: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, authorization: `Bearer ${token}` } })";

/** What to do where a server answers this instead of with a file. `page` is a repository's. */
export function advice(status: number, address: string | undefined, page: string | undefined): string {
  const refused = status === 401 || status === 403;
  if (page !== undefined) {
    return refused
      ? `The repository does not exist, or it is private or gated: accept its licence on ${page}, and pass a token of yours by the option ${TOKEN}.`
      : `${page} shows which files there are; a model in a folder of the repository is "hf:owner/name/folder".`;
  }
  if (!refused) return "";
  return address !== undefined && new URL(address).search
    ? "The signature in the address has expired or does not cover this file: sign it anew. Some storage services answer so where a file is missing."
    : 'The server wants to know who asks: pass cookies or a token by the option fetch, such as (url, init) => fetch(url, { ...init, credentials: "include" }). Some storage services answer so where a file is missing.';
}

/** What was thrown when this source was loaded; with a word about `hf:`, if the source may have meant that. */
export function meant(source: ModelSource, error: OcelliError): OcelliError {
  if (error.code !== "not-found" || typeof source !== "string" || !/^[\w-][\w.-]*\/[\w.-]+($|[@/])/.test(source))
    return error;
  // Others are about wasm files and the like.
  if (!error.message.startsWith(folderUrl(source).href)) return error;
  const repository = source.replace(/\/(tree|blob|resolve)\/([^/]+)/, "@$2").replace(/\/$/, "");
  return new OcelliError(
    "not-found",
    `${error.message} For a repository on the Hugging Face hub, write "hf:${repository}".`,
    {
      cause: error,
    },
  );
}
