// The dedicated worker that `worker: true` starts: one model, wholly in here.
import { expose, proxy } from "comlink";
import { Core, type CoreOptions } from "./core.js";
import type { Happening } from "./owner.js";
import { fetchBy, type Requester } from "./page-fetch.js";
import { keepErrors } from "./posted.js";
import { memory } from "./device.js";
import type { PlainSource } from "./source/open.js";
import type { SourceOptions } from "./source/types.js";
import type { Progress } from "./types.js";

const stop = new AbortController();

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
    return proxy(
      await Core.load(source, { ...options, cache, fetch: ask && fetchBy(ask) }, onProgress, stop.signal, tell),
    );
  },
  /** Locks a name for as long as this worker lives; false where there are no locks. */
  lock: (name: string) =>
    new Promise<boolean>((resolve) => {
      if (!navigator.locks) return resolve(false);
      const held = () => {
        resolve(true);
        return new Promise<never>(() => {});
      };
      navigator.locks.request(name, held).catch(() => resolve(false));
    }),
  /** Stops the load. */
  abort: () => stop.abort(),
  /** What the races found, for the page to keep. */
  known: () => memory.text,
};

export type Entry = typeof entry;

keepErrors();
expose(entry);
