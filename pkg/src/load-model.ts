import { Callback } from "./callback.js";
import type { Calls, CoreOptions } from "./calls.js";
import { Core } from "./core.js";
import { aborted, OcelliError, wrap } from "./error.js";
import { Model } from "./model.js";
import type { Happening } from "./owner.js";
import { RemoteCore } from "./remote-core.js";
import { abortable } from "./shared.js";
import { wholeUrl } from "./source/address.js";
import { meant } from "./source/advice.js";
import { plainSource } from "./source/open.js";
import type { ModelSource } from "./source/types.js";
import type { ContextOptions, FindLoadOptions, LoadOptions, ModelInfo, Task } from "./types.js";
import { startWorker } from "./worker-refusal.js";

/** What a load that is stopped may take to free what it has begun. */
const GRACE_MS = 200;

/** Of models of every kind. */
type Options = LoadOptions & FindLoadOptions & ContextOptions & { picturePrompts?: boolean };

/** Loads a model, here or in a worker. If it cannot do the `task`, it is refused as `wrong-model` before its weights are fetched. */
export async function loadModel(source: ModelSource, options: Options, task?: Task): Promise<Model> {
  const { signal, worker = false, workerUrl } = options;
  const stop = new AbortController();
  const relay = () => stop.abort(signal?.reason);
  const report = new Callback("onProgress", options.onProgress, () => stop.abort());
  signal?.addEventListener("abort", relay);
  try {
    if (signal?.aborted) throw aborted(signal.reason);
    const core = coreOptions(options, task);
    const files = plainSource(source);
    let model: Model | undefined;
    const tell = (what: Happening, info?: ModelInfo) => model?.tell(what, info);
    const here = (note?: string) =>
      Core.load(files, { ...core, note }, () => startWorker(workerUrl), report.call, stop.signal, tell);
    const there = () => RemoteCore.load(workerUrl, files, core, report.call, stop.signal, tell);
    const loading = worker ? (worker === "prefer" ? orElse(there, here) : there()) : here();
    const calls = await abortable(stop.signal, loading, "load", GRACE_MS).catch((error: unknown) => {
      loading.then(
        (late) => late.dispose(),
        () => {},
      );
      throw error;
    });
    if (report.failed) {
      calls.dispose();
      throw report.failed;
    }
    return (model = new Model(calls));
  } catch (error) {
    throw report.failed ?? meant(source, wrap(error));
  } finally {
    report.ended = true;
    signal?.removeEventListener("abort", relay);
  }
}

/** With the defaults filled in. */
function coreOptions(options: Options, task: Task | undefined): CoreOptions {
  const {
    format = "none",
    alpha = "drop",
    towers = "both",
    tokenTable = "memory",
    maxNumPatches,
    canvas,
    context,
    picturePrompts = false,
    backend = "auto",
    threads = "auto",
    powerPreference = "",
    tier = "auto",
  } = options;
  const { wasmUrl, wasmModule, revision, endpoint, accessToken, fetch, cache } = options;
  if (tokenTable !== "memory" && tokenTable !== "server") {
    throw new OcelliError("bad-input", `tokenTable: expected "memory" or "server", found ${String(tokenTable)}.`);
  }
  if (maxNumPatches !== undefined && !Number.isInteger(maxNumPatches)) {
    throw new OcelliError("bad-input", `maxNumPatches: expected a whole number, found ${String(maxNumPatches)}.`);
  }
  if (canvas !== undefined && !(Number.isInteger(canvas) && canvas > 0)) {
    throw new OcelliError("bad-input", `canvas: expected a whole number of pixels, found ${String(canvas)}.`);
  }
  if (context !== undefined && !(Number.isInteger(context) && context >= 2)) {
    throw new OcelliError(
      "bad-input",
      `context: expected a whole number of tokens, 2 or more, found ${String(context)}.`,
    );
  }
  if (threads !== "auto" && !(Number.isInteger(threads) && threads > 0)) {
    throw new OcelliError("bad-input", `threads: expected "auto" or 1 or more, found ${String(threads)}.`);
  }
  return {
    towers,
    format,
    alpha,
    tokenTable,
    maxNumPatches,
    canvas,
    context,
    picturePrompts,
    task,
    backend,
    threads,
    powerPreference,
    tier,
    wasmUrl: absolute(wasmUrl),
    wasmModule,
    revision,
    endpoint,
    accessToken,
    fetch,
    cache,
  };
}

/** In a worker; where there can be none, here. */
async function orElse(there: () => Promise<Calls>, here: (note: string) => Promise<Calls>): Promise<Calls> {
  try {
    return await there();
  } catch (error) {
    const { code, message } = wrap(error);
    if (code !== "no-worker") throw error;
    return here(message);
  }
}

/** Of the page's own address, which a worker does not know. */
function absolute(wasmUrl: LoadOptions["wasmUrl"]): LoadOptions["wasmUrl"] {
  if (wasmUrl === undefined) return undefined;
  const one = (url: string | URL) => wholeUrl(url).href;
  return typeof wasmUrl === "string" || wasmUrl instanceof URL
    ? one(wasmUrl)
    : Object.fromEntries(Object.entries(wasmUrl).map(([part, url]) => [part, one(url)]));
}
