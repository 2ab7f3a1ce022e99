import { aborted, OcelliError } from "./error.js";
import { withoutGpuErrors } from "./gpu.js";
import { Missing, RemoteFolder, type TensorFile } from "./remote.js";
import { sideBySide } from "./side-by-side.js";
import type { Format, Progress, Towers } from "./types.js";
import { likely, requestDevice, type DeviceOptions, type Found } from "./device.js";
import { alive, modules } from "./wasm.js";
import type { Device, Engine, ModelFolder, ModelLoading } from "../wasm/ocelli.js";

/** Tensor files that are fetched side by side. */
const SIDE_BY_SIDE = 4;

interface Options extends DeviceOptions {
  towers: Towers;
  format: Format;
  tokenTable: "memory" | "server";
  onProgress: ((progress: Progress) => void) | undefined;
  signal: AbortSignal | undefined;
}

interface Loaded {
  engine: Engine;
  found: Found;
  downloadBytes: number;
}

/**
 * Loads a model folder: small files first, then the headers of the tensor files, then the tensors themselves, which go to the
 * GPU slice by slice as they arrive. What is not needed is not fetched.
 */
export async function load(url: URL, options: Options): Promise<Loaded> {
  const { signal, towers, tokenTable } = options;
  // One failure stops the others.
  const stop = new AbortController();
  const relay = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", relay);
  if (signal?.aborted) relay();
  let total = 0;
  const remote = new RemoteFolder(url, stop.signal, () => {
    options.onProgress?.({ loaded: remote.loaded, total: total && Math.max(total, remote.loaded) });
  });
  const first = await likely(options);
  const requested = requestDevice(first, options);
  // It may fail while nobody waits for it yet.
  requested.catch(() => {});
  let folder: ModelFolder | undefined;
  let loading: ModelLoading | undefined;
  let part = first;
  try {
    folder = new modules[part.part].ModelFolder(url.href, towers) as ModelFolder;
    const files = await describe(remote, folder, towers === "both" && tokenTable === "memory" ? "one stream" : "headers");
    const found = await requested;
    const { device, handle } = found;
    if (found.part !== part.part) {
      // The CPU won: its own wasm file takes over what is known.
      folder.free();
      part = found;
      folder = new modules[part.part].ModelFolder(url.href, towers) as ModelFolder;
      for (const answer of files.answers) answer(folder);
    }
    const known = folder;
    const { ModelLoading } = modules[part.part] as typeof modules.gpu;
    const started = await withoutGpuErrors(handle, () => (loading = new ModelLoading(device as Device, known, options.format, tokenTable === "memory")));
    const runs = runsOf(started, files.tensors);
    total = runs.reduce((sum, run) => sum + run.bytes, files.bytes);
    await withoutGpuErrors(handle, () => sideBySide(runs, SIDE_BY_SIDE, (run) => put(run, started, stop.signal)));
    options.onProgress?.({ loaded: remote.loaded, total: remote.loaded });
    stop.signal.throwIfAborted();
    return { engine: started.finish(), found, downloadBytes: remote.loaded };
  } catch (error) {
    stop.abort();
    if (signal?.aborted) throw aborted(error);
    // The engine's own errors have a code that is a word; a DOMException's is a number.
    if (typeof (error as { code?: unknown } | null)?.code === "string") throw error;
    throw new OcelliError("not-found", `${url}: the download broke off: ${String(error)}. Try again.`, { cause: error });
  } finally {
    signal?.removeEventListener("abort", relay);
    if (alive(part.part, part.start)) {
      folder?.free();
      loading?.free();
    }
    // What was not used ends with it; if there is no device, that was said above.
    requested.then((found) => alive(found.part, found.start) && found.device.free(), () => {});
  }
}

/**
 * Fetches everything but the tensors into `known`; returns the tensor files, and how many bytes there were. Of tensor files the
 * header is fetched by itself; or a single one is begun as one stream, to be read to its end; or none is touched.
 */
export async function describe(remote: RemoteFolder, known: Folder, tensorFiles: "headers" | "one stream" | "small files"): Promise<Described> {
  const tensors = new Map<string, TensorFile>();
  const answers: Described["answers"] = [];
  const answer = (put: (known: Folder) => void) => {
    put(known);
    answers.push(put);
  };
  let bytes = 0;
  for (;;) {
    const all = known.wanted() as { name: string; tensors: boolean }[];
    const wanted = tensorFiles === "small files" ? all.filter((want) => !want.tensors) : all;
    if (wanted.length === 0) return { tensors, bytes, answers };
    const stream = tensorFiles === "one stream" && wanted.filter((want) => want.tensors).length === 1;
    const small = async (name: string) => {
      const file = await remote.whole(name);
      bytes += file.byteLength;
      answer((known) => known.put(name, file));
    };
    const header = async (name: string) => {
      const file = remote.tensors(name);
      const header = await file.header((start, size) => known.headerLength(name, start, size), stream);
      if (!stream) bytes += header.byteLength;
      tensors.set(name, file);
      const { size } = file;
      answer((known) => known.putHeader(name, header, size));
    };
    await Promise.all(
      wanted.map((want) =>
        (want.tensors ? header : small)(want.name).catch((error: unknown) => {
          if (!(error instanceof Missing)) throw error;
          answer((known) => known.putMissing(want.name, error.why));
        }),
      ),
    );
  }
}

/** A `ModelFolder` of any of the wasm files. */
type Folder = Pick<ModelFolder, "wanted" | "headerLength" | "put" | "putHeader" | "putMissing">;

interface Described {
  tensors: Map<string, TensorFile>;
  /** How many there were. */
  bytes: number;
  /** All that was put, for who has to put it again. */
  answers: ((known: Folder) => void)[];
}

/** What is needed of one tensor file, front to back. */
interface Run {
  file: TensorFile;
  /** Length of the file, by its header. */
  size: number;
  /** Bytes that will be fetched. */
  bytes: number;
  pieces: { index: number; start: number; end: number; until: number | undefined }[];
}

function runsOf(loading: ModelLoading, tensors: Map<string, TensorFile>): Run[] {
  const [names, sizes, flat] = [loading.files(), loading.sizes(), loading.pieces()];
  const runs = names.map((name, at): Run => {
    return { file: tensors.get(name) as TensorFile, size: sizes[at] as number, bytes: 0, pieces: [] };
  });
  for (let at = 0; at < flat.length; at += 3) {
    const [file, start, end] = flat.subarray(at, at + 3) as unknown as [number, number, number];
    runs[file]?.pieces.push({ index: at / 3, start, end, until: undefined });
  }
  for (const run of runs) {
    const needed = run.pieces.reduce((sum, { start, end }) => sum + end - start, 0);
    // Nearly all of it: the rest is the header, and is not worth further requests.
    if (needed > run.size * 0.9) {
      run.bytes = run.size;
      continue;
    }
    run.bytes = needed;
    // From the back: each piece learns where the run of bytes without a gap ends that it is in.
    let [next, until] = [NaN, NaN];
    for (const piece of [...run.pieces].reverse()) {
      if (piece.end !== next) until = piece.end;
      piece.until = until;
      next = piece.start;
    }
  }
  return runs.filter((run) => run.pieces.length > 0);
}

/** Fetches what is needed of a tensor file and puts it where it belongs. */
async function put({ file, size, pieces }: Run, loading: ModelLoading, signal: AbortSignal): Promise<void> {
  for (const { index, start, end, until } of pieces) {
    const bytes = await file.read(start, end, until);
    await breath();
    signal.throwIfAborted();
    loading.put(index, bytes);
  }
  const found = await file.drain();
  file.close();
  if (found !== undefined && found !== size) {
    throw new OcelliError(
      "bad-checkpoint",
      `${file.name}: expected ${size} bytes, found ${found}: the file is broken or incomplete, fetch it again`,
    );
  }
}

/** Lets the page go on: what has arrived already would otherwise be put without a pause. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
