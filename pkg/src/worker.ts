// The dedicated worker that `worker: true` starts: one model, wholly in here.
import { expose, proxy } from "comlink";
import { Core, type CoreOptions, type Happening } from "./core.js";
import { keepErrors } from "./posted.js";
import { memory } from "./device.js";
import type { Progress } from "./types.js";

const stop = new AbortController();

const entry = {
  async load(folder: string, options: CoreOptions, known: string, onProgress: (progress: Progress) => void, tell: (what: Happening) => void) {
    memory.text = known;
    return proxy(await Core.load(folder, options, onProgress, stop.signal, tell));
  },
  /** Stops the load. */
  abort: () => stop.abort(),
  /** What the races found, for the page to keep. */
  known: () => memory.text,
};

export type Entry = typeof entry;

keepErrors();
expose(entry);
