import { breath } from "./breath.js";
import { aborted, OcelliError, wrap } from "./error.js";
import { withoutGpuErrors } from "./gpu.js";
import { Meter } from "./meter.js";
import { abortable } from "./shared.js";
import { sideBySide } from "./side-by-side.js";
import { shownUrl } from "./source/address.js";
import type { Folder } from "./source/folder.js";
import { openFolder, type PlainSource } from "./source/open.js";
import { Missing } from "./source/request.js";
import { holdTokenizer } from "./source/tokenizer-files.js";
import type { TensorFile } from "./source/tensors.js";
import type { Piece } from "./source/remote.js";
import type { Bytes, SourceOptions } from "./source/types.js";
import type { ModelSettings } from "./calls.js";
import type { Progress } from "./types.js";
import { likely, requestDevice, type DeviceOptions, type Found } from "./device.js";
import { Team, threadsOf } from "./team.js";
import { abandon, alive, modules, partsOf, sameCpuFile } from "./wasm.js";
import type { Starting } from "./worker-refusal.js";
import type { Device, Engine, ModelFolder, ModelLoading } from "../wasm/ocelli_vlm.js";
import type { Device as CpuDevice } from "../wasm/ocelli_vlm_cpu.js";

/** Tensor files that are fetched side by side. */
const SIDE_BY_SIDE = 4;
const MANIFEST = "manifest.json";

export interface LoadParameters extends DeviceOptions, SourceOptions, ModelSettings {
  note?: string | undefined;
  /** Starts a worker for the model's own use. */
  startHelper: () => Starting;
  onProgress: ((progress: Progress) => void) | undefined;
  signal: AbortSignal | undefined;
  /** Most images or texts in one submission; the engine's own choice if undefined. */
  batch: number | undefined;
}

/** A loaded engine, what it runs on, and where it came from. */
export interface Loaded {
  engine: Engine;
  found: Found;
  folder: Folder;
  /** Those that share its work; to be ended with it. */
  team: Team | undefined;
}

/**
 * Loads a model: small files first, then the headers of the tensor files, then the tensors themselves, which go to the
 * GPU slice by slice as they arrive. What is not needed is not fetched, but for the tokenizer's files, if they can be kept: later
 * there may be no network.
 */
export async function load(source: PlainSource, options: LoadParameters): Promise<Loaded> {
  const { signal, towers, tokenTable } = options;
  const first = await likely(options, signal);
  // One failure stops the others.
  const stop = new AbortController();
  const relay = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", relay);
  if (signal?.aborted) relay();
  const requested = requestDevice(first, options, stop.signal);
  // It may fail while nobody waits for it yet.
  requested.catch(() => {});
  const meter = new Meter(options.onProgress);
  let folder: Folder | undefined;
  let known: ModelFolder | undefined;
  let loading: ModelLoading | undefined;
  let team: Team | undefined;
  let part = first;
  let unlock = () => {};
  try {
    const files = (folder = await openFolder(source, options, stop.signal));
    unlock = await files.lock(stop.signal);
    files.onBytes = () => meter.at(files.loaded);
    known = new modules[part.part].ModelFolder(files.label, towers) as ModelFolder;
    const { tensors, bytes, manifest, answers } = await describe(
      files,
      known,
      towers === "both" && tokenTable === "memory" ? "one stream" : "headers",
      stop.signal,
    );
    // The race of the kernels goes on by itself.
    const found = await abortable(stop.signal, requested, "load");
    const { device, handle } = found;
    if (found.part !== part.part) {
      // The CPU won: its own wasm file takes over what is known.
      known.free();
      part = found;
      known = new modules[part.part].ModelFolder(files.label, towers) as ModelFolder;
      for (const answer of answers) answer(known);
    }
    team = await helpersOf(found, options, stop.signal);
    const model = known;
    const [loaded, inner] = [model.towers(), model.inner()];
    const { ModelLoading } = modules[part.part] as typeof modules.vlm;
    const started = await withoutGpuErrors(
      handle,
      () => (loading = new ModelLoading(device as Device, model, options)),
    );
    files.cache.commit();
    const runs = runsOf(started, tensors);
    // Nothing is left for others to wait for.
    if (runs.every(({ file, pieces }) => pieces.every((piece) => file.has(piece)))) unlock();
    let total = runs.reduce((sum, run) => sum + run.bytes, bytes);
    meter.weights(total);
    const held =
      loaded === "vision"
        ? undefined
        : holdTokenizer(files, inner, manifest, (more) => meter.weights((total += more)), stop.signal);
    await withoutGpuErrors(handle, () => sideBySide(runs, SIDE_BY_SIDE, (run) => put(run, started, team, stop.signal)));
    await team?.room(0);
    await held;
    await files.cache.settled();
    meter.ready();
    // What is fetched later is no part of the load.
    files.onBytes = () => {};
    stop.signal.throwIfAborted();
    return { engine: started.finish(), found, folder: files, team };
  } catch (error) {
    stop.abort();
    team?.end();
    if (error instanceof WebAssembly.RuntimeError) {
      abandon(part.part, part.start);
      throw wrap(error);
    }
    if (signal?.aborted) throw aborted(error);
    // The engine's own errors have a code that is a word; a DOMException's is a number.
    const code = (error as { code?: unknown } | null)?.code;
    // What is broken must not be met again.
    if (code === "bad-checkpoint") await folder?.cache.abandon();
    if (typeof code === "string") throw error;
    const broken = new OcelliError(
      "not-found",
      `${folder?.label ?? (typeof source === "string" ? shownUrl(source) : "files")}: the download broke off: ${error instanceof Missing ? error.why : String(error)}. Try again.`,
      { cause: error },
    );
    throw folder?.explain(broken) ?? broken;
  } finally {
    signal?.removeEventListener("abort", relay);
    if (alive(part.part, part.start)) {
      known?.free();
      loading?.free();
    }
    await folder?.cache.settled();
    unlock();
    // What was not used ends with it; if there is no device, that was said above.
    requested.then(
      (found) => alive(found.part, found.start) && found.device.free(),
      () => {},
    );
  }
}

/**
 * Fetches everything but the tensors into `known`; returns the tensor files, and how many bytes there were. Of tensor files the
 * header is fetched by itself; or a single one is begun as one stream, to be read to its end; or none is touched.
 */
export async function describe(
  folder: Folder,
  known: Known,
  tensorFiles: "headers" | "one stream" | "small files",
  signal: AbortSignal,
): Promise<Described> {
  const tensors = new Map<string, TensorFile>();
  const answers: Described["answers"] = [];
  const answer = (put: (known: Known) => void) => {
    put(known);
    answers.push(put);
  };
  let bytes = 0;
  let manifest: Uint8Array | undefined;
  for (;;) {
    const all = wantedOf(known, folder);
    const wanted = tensorFiles === "small files" ? all.filter((want) => !want.tensors) : all;
    if (wanted.length === 0) return { tensors, bytes, manifest, answers };
    const stream = tensorFiles === "one stream" && wanted.filter((want) => want.tensors).length === 1;
    const small = async (name: string) => {
      const file = await folder.whole(name, signal);
      bytes += file.byteLength;
      if (name === known.inner() + MANIFEST) manifest = file;
      answer((known) => known.put(name, file));
    };
    const header = async (name: string) => {
      const file = await folder.tensors(name, signal);
      const parts: [number, Uint8Array<ArrayBuffer>][] = [];
      const put = (start: number, part: Uint8Array<ArrayBuffer>) => {
        known.putHeader(name, start, part);
        parts.push([start, part]);
      };
      await file.header({ range: (size) => known.headerRange(name, size), put }, stream);
      tensors.set(name, file);
      const { size } = file;
      bytes += file.held ? (size as number) : parts.reduce((sum, [, part]) => sum + part.byteLength, 0);
      answers.push((known) => {
        for (const [start, part] of parts) known.putHeader(name, start, part);
        known.headerRange(name, size);
      });
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

function wantedOf(known: Known, folder: Folder): { name: string; tensors: boolean }[] {
  try {
    return known.wanted() as { name: string; tensors: boolean }[];
  } catch (error) {
    throw folder.explain(error);
  }
}

/** A `ModelFolder` of any of the wasm files. */
type Known = Pick<ModelFolder, "wanted" | "inner" | "headerRange" | "put" | "putHeader" | "putMissing">;

interface Described {
  tensors: Map<string, TensorFile>;
  /** How many there were. */
  bytes: number;
  /** What lists the folder's files, if it has one. */
  manifest: Uint8Array | undefined;
  /** All that was put, for who has to put it again. */
  answers: ((known: Known) => void)[];
}

/** What is needed of one tensor file, front to back. */
interface Run {
  file: TensorFile;
  /** Length of the file, by its header. */
  size: number;
  /** Bytes that will be fetched. */
  bytes: number;
  pieces: (Piece & { index: number })[];
  /** Whether it is read to its end, and not by ranges. */
  toEnd: boolean;
}

function runsOf(loading: ModelLoading, tensors: Map<string, TensorFile>): Run[] {
  const [names, sizes, flat, forms] = [loading.files(), loading.sizes(), loading.pieces(), loading.packedForms()];
  const runs = names.map((name, at): Run => {
    return { file: tensors.get(name) as TensorFile, size: sizes[at] as number, bytes: 0, pieces: [], toEnd: false };
  });
  for (let at = 0; at < flat.length; at += 3) {
    const [file, start, end] = flat.subarray(at, at + 3) as unknown as [number, number, number];
    const [name, bytes] = (forms[at / 3] ?? "").split(" ");
    runs[file]?.pieces.push({ index: at / 3, start, end, packed: name ? { name, bytes: Number(bytes) } : undefined });
  }
  for (const run of runs) {
    const { file, size, pieces } = run;
    if (file.held) continue;
    run.bytes = pieces.reduce((sum, piece) => sum + (file.cachedBytes(piece) || piece.end - piece.start), 0);
    const here = pieces.some((piece) => file.cachedBytes(piece) > 0);
    // Nearly all of it: the rest is the header, and is not worth further requests.
    run.toEnd = !here && run.bytes > size * 0.9;
    if (run.toEnd) run.bytes = size - (pieces[0]?.start ?? 0);
  }
  return runs.filter((run) => run.pieces.length > 0);
}

/** Those that share the work of a model on the CPU. Where the browser starts none, it does without and says so. */
async function helpersOf(found: Found, options: LoadParameters, signal: AbortSignal): Promise<Team | undefined> {
  const part = partsOf(options.task).cpu;
  const threads = found.backend === "cpu" ? threadsOf(options.threads) : 1;
  if (threads === 1) return undefined;
  const { wasmUrl, wasmModule, startHelper } = options;
  try {
    const team = await Team.start(threads - 1, startHelper, part, sameCpuFile(part, { wasmUrl, wasmModule }), signal);
    (found.device as CpuDevice).setTeam(team);
    return team;
  } catch (error) {
    if (signal.aborted) throw error;
    found.note = [found.note, `The CPU computes in one thread. ${wrap(error).message}`].filter(Boolean).join(" ");
    return undefined;
  }
}

/** Fetches what is needed of a tensor file and puts it where it belongs. */
async function put(run: Run, loading: ModelLoading, team: Team | undefined, signal: AbortSignal): Promise<void> {
  const { file, size, pieces } = run;
  for (const [at, piece] of pieces.entries()) {
    const kept = await file.packed(piece);
    const bytes = kept ?? (await file.read(piece, () => (run.toEnd ? undefined : endOf(run, at))));
    // What has arrived already would otherwise be put without a pause.
    await breath();
    await team?.room();
    signal.throwIfAborted();
    if (kept) {
      loading.putPacked(piece.index, kept);
      continue;
    }
    const packed = loading.put(piece.index, bytes) as Bytes | undefined;
    if (packed) await file.keep(piece, packed);
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

/**
 * Where the run of bytes ends that begins with a piece, has no gap but what lies between two tensors, and is not here. What was here may be
 * gone by the time that it is read.
 */
function endOf({ file, pieces }: Run, at: number): number {
  let end = pieces[at]?.end ?? 0;
  for (const piece of pieces.slice(at + 1)) {
    const gap = piece.start - end;
    if (gap < 0 || gap > file.gap || file.cachedBytes(piece) > 0) break;
    end = piece.end;
  }
  return end;
}
