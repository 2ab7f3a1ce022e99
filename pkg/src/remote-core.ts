import { proxy, releaseProxy, wrap as connect, type Remote } from "comlink";
import type { Calls, Core, CoreOptions, Happening } from "./core.js";
import { keep, memory } from "./device.js";
import { aborted, disposed, OcelliError } from "./error.js";
import { requester } from "./page-fetch.js";
import { allPostable, keepErrors, postable } from "./posted.js";
import type { ModelInfo, Progress } from "./types.js";
import type { PlainSource } from "./source/open.js";
import type { Entry } from "./worker.js";

let kept = false;

/** A {@link Core} in a worker of its own. */
export async function loadInWorker(
  workerUrl: string | URL | undefined,
  source: PlainSource,
  { cache, fetch, ...options }: CoreOptions,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
  tell: (what: Happening, info: ModelInfo | undefined) => void,
): Promise<Calls> {
  if (!kept) keepErrors();
  kept = true;
  // Bundlers look for exactly this expression.
  const worker = workerUrl
    ? new Worker(workerUrl, { type: "module" })
    : new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const entry = connect<Entry>(worker);
  const stop = () => void entry.abort();
  signal?.addEventListener("abort", stop);
  const broken = new Promise<never>((_, reject) => {
    worker.addEventListener("error", (event) => {
      reject(
        new OcelliError(
          "not-found",
          `The worker cannot be started (${event.message || "its file is missing"}): serve worker.js beside the package's code, or pass workerUrl.`,
        ),
      );
    });
  });
  broken.catch(() => {});
  try {
    let core: Remote<Core> | undefined;
    const happened = async (what: Happening) => tell(what, await core?.info);
    const loading = entry.load(
      source,
      options,
      typeof cache === "object" ? proxy(cache) : cache,
      fetch && requester(fetch),
      memory.text,
      proxy(onProgress ?? (() => {})),
      proxy(happened),
    );
    core = (await Promise.race([loading, broken])) as unknown as Remote<Core>;
    if (signal?.aborted) throw aborted(signal.reason);
    keep(await entry.known());
    return calls(core, await core.info, () => {
      entry[releaseProxy]();
      worker.terminate();
    });
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The same calls, with pictures made ready for the way. */
function calls(core: Remote<Core>, info: ModelInfo, end: () => void): Calls {
  let ended = false;
  /** A worker that has ended answers nothing. */
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    if (ended) throw disposed();
    return work();
  };
  return {
    info,
    imageBatch: () => call(() => core.imageBatch()),
    embedImages: (images) => call(async () => core.embedImages(await allPostable(images))),
    embedTexts: (texts) => call(() => core.embedTexts(texts)),
    addLabels: (embeddings) => call(() => core.addLabels(embeddings)),
    dropLabels: (number) => void (ended || core.dropLabels(number)),
    classify: (number, image) => call(async () => core.classify(number, await postable(image))),
    tokenize: (text) => call(() => core.tokenize(text)),
    preprocess: (image) => call(async () => core.preprocess(await postable(image))),
    verify: () => call(() => core.verify()),
    dispose() {
      if (!ended) end();
      ended = true;
    },
  };
}
