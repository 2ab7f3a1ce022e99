// The dedicated worker that `worker: true` starts: one model, wholly in here. Or one that shares the work of a model elsewhere.
import { expose, proxy } from "comlink";
import type { CoreOptions } from "./calls.js";
import { Core } from "./core.js";
import { OcelliError } from "./error.js";
import { help } from "./helper.js";
import type { Happening } from "./owner.js";
import { fetchBy, type Requester } from "./page-fetch.js";
import { keepErrors } from "./posted.js";
import { memory } from "./device.js";
import type { PlainSource } from "./source/open.js";
import type { SourceOptions } from "./source/types.js";
import type { Progress } from "./types.js";
import { lock } from "./worker-death.js";
import type { Starting } from "./worker-refusal.js";

const stop = new AbortController();

/** One more of this file, of the same kind. Bundlers know it from the page, and shall not look for it here. */
function startHelper(): Starting {
  const worker = new Worker(globalThis.location.href, { type: isModule() ? "module" : "classic" });
  // Else the page takes it for an error of this worker.
  worker.addEventListener("error", (event) => event.preventDefault());
  const refusal = async (message: string) =>
    new OcelliError("no-worker", `A worker's own workers cannot be started: ${message || "no reason given"}.`);
  return { worker, refusal };
}

/** Whether this is a module; Turbopack makes a classic script of it. Only there `importScripts` may be called, and without a name does nothing. */
function isModule(): boolean {
  try {
    (globalThis as unknown as { importScripts(): void }).importScripts();
    return false;
  } catch {
    return true;
  }
}

/** A core whose calls close frames and bitmaps at their end: these are copies here, and a frame holds up its video until it is closed. */
function closing(core: Core): Core {
  return new Proxy(core, {
    get(of, name) {
      const own: unknown = of[name as keyof Core];
      if (typeof own !== "function") return own;
      return async (...given: unknown[]) => {
        try {
          return (await own.apply(of, given)) as unknown;
        } finally {
          for (const one of given.flat()) (one as { close?(): void } | undefined)?.close?.();
        }
      };
    },
  });
}

const entry = {
  async load(
    source: PlainSource,
    options: Omit<CoreOptions, "cache" | "fetch">,
    cache: SourceOptions["cache"],
    /** For a `fetch` of the page's own. */
    ask: Requester | undefined,
    known: string,
    onProgress: (progress: Progress) => void,
    tell: (what: Happening) => void,
  ) {
    memory.text = known;
    const all = { ...options, cache, fetch: ask && fetchBy(ask) };
    return proxy(closing(await Core.load(source, all, startHelper, onProgress, stop.signal, tell)));
  },
  help,
  lock,
  /** Stops the load. */
  abort: () => stop.abort(),
  /** What the races found, for the page to keep. */
  known: () => memory.text,
};

export type Entry = typeof entry;

keepErrors();
expose(entry);
