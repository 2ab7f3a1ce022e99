// Memory of everything that this program has started, from /proc: a browser's page, its GPU process and the rest. And what a page's
// JavaScript holds, which Chromium tells.
import { readdirSync, readFileSync } from "node:fs";

const PAGE = 4096;
const EVERY_MS = 100;

/** Resident bytes of all descendants; pages that two of them share count twice. NaN where there is no /proc. */
export function resident(of = process.pid) {
  const children = new Map();
  const sizes = new Map();
  try {
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        // The name in parentheses may hold anything, so what follows it is counted from its end.
        const fields = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1).split(" ");
        const parent = Number(fields[1]);
        children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
        sizes.set(Number(name), Number(fields[21]) * PAGE);
      } catch {
        // It has ended in between.
      }
    }
  } catch {
    return NaN;
  }
  const below = (pid) => (children.get(pid) ?? []).reduce((sum, child) => sum + sizes.get(child) + below(child), 0);
  return below(of);
}

/** Watches; `end()` gives the most that was seen. */
export function watch() {
  let most = resident();
  const timer = setInterval(() => (most = Math.max(most, resident())), EVERY_MS);
  return {
    end() {
      clearInterval(timer);
      return Math.max(most, resident());
    },
  };
}

/** Compiled code comes and goes as the engine sees fit, and is bounded by the program; what is native has its own counts. */
const NOT_HELD = ["code", "native", "synthetic"];

/** Bytes of a page's objects, arrays, strings, numbers and functions after a garbage collection; undefined where the browser does not tell. */
export async function heldBytes(page) {
  const session = await page.context?.().newCDPSession(page);
  if (!session) return undefined;
  const chunks = [];
  session.on("HeapProfiler.addHeapSnapshotChunk", ({ chunk }) => chunks.push(chunk));
  await session.send("HeapProfiler.takeHeapSnapshot");
  await session.detach();
  const { snapshot, nodes } = JSON.parse(chunks.join(""));
  const {
    node_fields: fields,
    node_types: [types],
  } = snapshot.meta;
  const [type, size] = [fields.indexOf("type"), fields.indexOf("self_size")];
  let bytes = 0;
  for (let at = 0; at < nodes.length; at += fields.length)
    if (!NOT_HELD.includes(types[nodes[at + type]])) bytes += nodes[at + size];
  return bytes;
}
