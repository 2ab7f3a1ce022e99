// The Hugging Face hub, as far as a load meets it, answered from a folder: no test asks the real one.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const HUB = "https://huggingface.co/";
const COMMIT = "c".repeat(40);
const OPEN = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "ETag, Content-Range, X-Repo-Commit",
  "x-repo-commit": COMMIT,
};

/**
 * Every repository of the hub has the files of `folder`, but for those that `folders` names, for all pages of a context. `asked` are the
 * paths so far; with `gone` set the hub is not to be reached, and weights wait for `held`.
 */
export async function imitateHub(context, folder, folders = {}) {
  const hub = { asked: [], gone: false, held: undefined };
  await context.route(`${HUB}**`, async (route) => {
    const request = route.request();
    const path = new URL(request.url()).pathname;
    if (hub.gone) return route.abort("internetdisconnected");
    hub.asked.push(path);
    const [, repository, name] = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/([^/]+)$/.exec(path) ?? [];
    if (request.method() === "GET" && name?.endsWith(".safetensors")) await hub.held;
    let file;
    try {
      file = readFileSync(join(folders[repository] ?? folder, name));
    } catch {
      return route.fulfill({ status: 404, headers: OPEN, body: "not here" });
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec((await request.allHeaders()).range ?? "") ?? [];
    const end = to ? Math.min(Number(to) + 1, file.length) : file.length;
    const body = file.subarray(Number(from ?? 0), end);
    const headers = {
      ...OPEN,
      "etag": `"${createHash("sha256").update(file).digest("hex")}"`,
      "content-type": "application/octet-stream",
      "content-length": String(body.length),
    };
    if (from !== undefined) headers["content-range"] = `bytes ${from}-${end - 1}/${file.length}`;
    await route.fulfill({
      status: from === undefined ? 200 : 206,
      headers,
      body: request.method() === "HEAD" ? "" : body,
    });
  });
  return hub;
}
