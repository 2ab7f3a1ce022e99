// A static server on 127.0.0.1, with the few ways of being broken that the tests need.
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webp": "image/webp",
  ".svg": "image/svg+xml",
};

/**
 * Serves folders: `mounts` maps "/prefix/" to a path on disk, and is answered itself with the folder's index.html. Also, for a folder mounted at /x/:
 * /gzip/x/… compresses (no usable length), /cut/x/… ends .safetensors files halfway, /long/x/… adds a byte to them without
 * saying so, /norange/x/… knows no ranges, and /app/… answers with a page, as servers of single-page apps do where a file is
 * missing. `sent` tells of every file that was asked for, and how many bytes of it went out. `always` are headers of every answer.
 */
export async function serve(mounts, always = {}) {
  const sent = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const entry = { path, range: request.headers.range, bytes: 0 };
    sent.push(entry);
    for (const [name, value] of Object.entries(always)) response.setHeader(name, value);
    answer(mounts, entry, response).catch((error) => {
      response.writeHead(error.code === "ENOENT" ? 404 : 500).end(String(error.code));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    port,
    sent,
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(mounts, entry, response) {
  const [, mode, rest] = /^\/(gzip|cut|long|norange|app)(\/.*)$/.exec(entry.path) ?? [, "", entry.path];
  if (mode === "app") return response.writeHead(200, { "content-type": types[".html"] }).end("<!doctype html>An app");
  const prefix = Object.keys(mounts).find((prefix) => rest.startsWith(prefix));
  const inside = prefix && normalize(rest.slice(prefix.length) || "index.html");
  if (!prefix || inside.startsWith("..")) return response.writeHead(404).end("not here");
  const file = join(mounts[prefix], inside);
  const size = (await stat(file)).size;
  const headers = { "content-type": types[extname(file)] ?? "application/octet-stream", "cache-control": "no-store" };
  if (mode === "gzip") {
    response.writeHead(200, { ...headers, "content-encoding": "gzip" }).end(gzipSync(await readFile(file)));
    return;
  }
  if ((mode === "cut" || mode === "long") && file.endsWith(".safetensors")) {
    const bytes = await readFile(file);
    response
      .writeHead(200, headers)
      .end(mode === "cut" ? bytes.subarray(0, size >> 1) : Buffer.concat([bytes, Buffer.from([0])]));
    return;
  }
  const [, from, to] = (mode !== "norange" && /^bytes=(\d+)-(\d*)$/.exec(entry.range ?? "")) || [, 0, ""];
  const [start, end] = [Number(from), Math.min(to === "" ? Infinity : Number(to), size - 1)];
  const part = mode !== "norange" && entry.range && { "content-range": `bytes ${start}-${end}/${size}` };
  response.writeHead(part ? 206 : 200, { ...headers, ...part, "content-length": size && end - start + 1 });
  if (size === 0) return response.end();
  createReadStream(file, { start, end })
    .on("data", (chunk) => (entry.bytes += chunk.length))
    .pipe(response);
}
