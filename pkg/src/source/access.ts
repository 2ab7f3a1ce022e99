import { OcelliError } from "../error.js";
import { hubOrigin } from "./hub.js";
import type { SourceOptions } from "./types.js";

/**
 * A `fetch` that tells the hub whose token this is, and nobody else. Where the hub redirects to another origin, browsers leave the header out.
 *
 * @throws {OcelliError} `bad-input` for what is no token; it is not written out.
 */
export function withAccess(request: typeof fetch, { accessToken, endpoint }: SourceOptions): typeof fetch {
  if (accessToken === undefined) return request;
  if (typeof accessToken !== "string" || !/^[\x21-\x7e]+$/.test(accessToken)) {
    const found = typeof accessToken !== "string" ? typeof accessToken : accessToken === "" ? "an empty one" : "others";
    throw new OcelliError(
      "bad-input",
      `accessToken: expected a text of letters, digits and signs without blanks, found ${found}.`,
    );
  }
  const origin = hubOrigin(endpoint);
  return (url, init) => {
    if (new URL(String(url)).origin !== origin) return request(url, init);
    const headers = {
      ...(init?.headers as Record<string, string> | undefined),
      authorization: `Bearer ${accessToken}`,
    };
    return request(url, { ...init, headers });
  };
}
