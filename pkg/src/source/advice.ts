import { OcelliError } from "../error.js";
import { folderUrl } from "./address.js";
import type { ModelSource } from "./types.js";

/** A repository on the hub. */
export interface HubPage {
  /** Its address. */
  page: string;
  /** Whether it was asked with a token. */
  asked: boolean;
}

/** Whether a server answers so to whom it does not let read. */
export const isRefusal = (status: number): boolean => status === 401 || status === 403;

/** What to do where a server answers this instead of with a file. */
export function advice(status: number, address: string | undefined, hub: HubPage | undefined): string {
  if (hub && isRefusal(status)) {
    const { page, asked } = hub;
    const who = asked
      ? `not open to this token: accept its licence on ${page} with the token's account, and look whether the token may read it`
      : `gated or private: accept its licence on ${page}, and pass a token of yours as accessToken`;
    return `The repository is ${who}; or host a copy of its files. The hub answers the same where there is no such repository.`;
  }
  if (hub) {
    return `${hub.page} shows which files there are; a model in a folder of the repository is "hf:owner/name/folder".`;
  }
  if (!isRefusal(status)) return "";
  return address !== undefined && new URL(address).search
    ? "The signature in the address has expired or does not cover this file: sign it again. Some storage services answer so where a file is missing."
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
