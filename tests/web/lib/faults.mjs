// A server that fails as networks and servers do, and one that is like the Hugging Face hub. Which fault it is, is the test's to say,
// at any time: `server.fault`.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { join, normalize } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

/** Of every answer: another origin may read it, and what it says of the file. */
const OPEN = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "ETag, Content-Range, X-Repo-Commit, X-Linked-ETag, X-Linked-Size",
  "cache-control": "no-store",
};

/**
 * Serves the files of `folder` under every path that ends in /NAME. `fault(request)` says what goes wrong with one, and may be
 * replaced at any time: { status } answers that, { html } with a page, { cut } ends the connection after so many bytes of the body,
 * `until` is waited for before that;
 * { flip } changes the byte at that place of the file, { slow } sends a little at a time, that many ms apart, { drop } ends the
 * connection at once, { stall } never answers. { whole } knows no ranges; { bare } answers ranges as an extension does, with status 200
 * and no header about them; { silent } leaves out Content-Length; { gzip } compresses at that level, which another origin does not see.
 * `request` is { name, method, search, start, count }, count from 1 for each file. `sent` lists the requests,
 * `unfinished` counts the answers under way, `errors` are those of `fault` and `until` themselves. `etag: false` serves no ETag.
 */
export async function serveFaults(folder, { etag = true, hub } = {}) {
  const state = { folder, etag, hub, fault: () => ({}), sent: [], errors: [], unfinished: 0, counts: new Map() };
  const server = createServer((request, response) => {
    state.unfinished++;
    response.on("close", () => state.unfinished--);
    answer(state, request, response).catch((error) => {
      state.errors.push(String(error));
      response.destroy();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.url = `http://127.0.0.1:${server.address().port}/`;
  state.close = () => {
    server.closeAllConnections();
    server.close();
  };
  /** Forgets what was asked, and works from now on. */
  state.reset = () => {
    state.fault = () => ({});
    state.sent.length = 0;
    state.counts.clear();
  };
  return state;
}

async function answer(state, request, response) {
  const { pathname, search } = new URL(request.url, state.url);
  const path = decodeURIComponent(pathname);
  const name = normalize(path.split("/").at(-1));
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const count = (state.counts.get(name) ?? 0) + 1;
  state.counts.set(name, count);
  const asked = {
    path,
    search,
    name,
    method: request.method,
    start: Number(from ?? 0),
    range: request.headers.range,
    count,
    authorization: request.headers.authorization,
    bytes: 0,
  };
  state.sent.push(asked);
  const fault = state.fault(asked);
  const allow = request.method === "OPTIONS" ? { "access-control-allow-headers": "authorization" } : {};
  if (request.method === "OPTIONS") return response.writeHead(204, { ...OPEN, ...allow }).end();
  if (fault.drop) return response.destroy();
  if (fault.stall) return;
  if (fault.html) return response.writeHead(200, { ...OPEN, "content-type": "text/html" }).end("<!doctype html>");
  if (fault.status) return response.writeHead(fault.status, OPEN).end("trouble");
  const hub = state.hub?.(path) ?? {};
  if (hub.location) return response.writeHead(302, { ...OPEN, ...hub.headers, location: hub.location }).end();
  const file = await readFile(join(fault.folder ?? state.folder, name)).catch(() => undefined);
  if (!file) return response.writeHead(404, { ...OPEN, ...hub.headers }).end("not here");
  if (fault.flip !== undefined) file[fault.flip] ^= 1;
  const ranged = from !== undefined && !fault.whole;
  const start = ranged ? asked.start : 0;
  const end = ranged && to ? Math.min(Number(to) + 1, file.length) : file.length;
  if (start >= file.length) return response.writeHead(416, OPEN).end();
  const plain = file.subarray(start, end);
  // A browser that asks for a range wants it as it is.
  const packed = fault.gzip !== undefined && /gzip/.test(request.headers["accept-encoding"] ?? "");
  const body = packed ? gzipSync(plain, { level: fault.gzip }) : plain;
  const tag = state.etag && { etag: `"${createHash("sha256").update(file).digest("hex")}"` };
  const part = ranged && !fault.bare && { "content-range": `bytes ${start}-${end - 1}/${file.length}` };
  response.writeHead(part ? 206 : 200, {
    ...OPEN,
    ...hub.headers,
    ...tag,
    ...part,
    "content-type": "application/octet-stream",
    ...(packed && { "content-encoding": "gzip" }),
    ...(!fault.silent && { "content-length": body.length }),
  });
  if (request.method === "HEAD") return response.end();
  await send(response, body, fault, asked);
}

async function send(response, body, { cut, slow, until }, asked) {
  const most = Math.min(cut ?? Infinity, body.length);
  const step = slow ? 16384 : most;
  for (let at = 0; at < most && !response.destroyed; at += step) {
    const piece = body.subarray(at, Math.min(at + step, most));
    await new Promise((resolve) => response.write(piece, resolve));
    asked.bytes += piece.length;
    if (slow) await sleep(slow);
  }
  if (most < body.length) {
    // What was written is to be read before the connection ends: browsers discard what they have when it breaks.
    await (until ? until() : sleep(100));
    response.destroy();
  } else {
    response.end();
  }
}

/**
 * The paths of the hub, as far as a load meets them: /OWNER/NAME/resolve/REVISION/FILE. Small files are answered at once, with the
 * commit and their ETag; tensor files are elsewhere, at the CDN's address, and the hub says their real ETag and size in headers
 * that a browser does not see, because it follows; without `cdn` they are answered here. `commits` maps revisions to commits, and may change.
 */
export function hubPaths(cdn, commits) {
  return (path) => {
    const [, revision, file] = /^\/[^/]+\/[^/]+\/resolve\/((?:refs\/pr\/)?[^/]+)\/(.+)$/.exec(path) ?? [];
    if (!revision) return {};
    const headers = { "x-repo-commit": commits[revision] ?? revision };
    if (!file.endsWith(".safetensors") || !cdn) return { headers };
    return {
      headers: { ...headers, "x-linked-etag": `"${"0".repeat(64)}"`, "x-linked-size": "1" },
      location: `${cdn()}repos/${headers["x-repo-commit"]}/${file}`,
    };
  };
}
