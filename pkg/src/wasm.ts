import { OcelliError } from "./error.js";
import { Shared } from "./shared.js";
import type { CpuPart, Task, WasmFile, WasmOptions } from "./types.js";
import * as gpu from "../wasm/ocelli.js";
import * as tokenizer from "../wasm/ocelli_tokenizer.js";

type Cpu = typeof import("../wasm/ocelli_cpu.js");
type Vlm = typeof import("../wasm/ocelli_vlm.js");
type VlmCpu = typeof import("../wasm/ocelli_vlm_cpu.js");

/** What the package's wasm files are for: models on the GPU, models on the CPU, both once more with models that write, and tokenizers. */
interface Modules {
  gpu: typeof gpu;
  cpu: Cpu;
  vlm: Vlm;
  vlmCpu: VlmCpu;
  tokenizer: typeof tokenizer;
}
export type Part = keyof Modules;
/** Those that run models. */
export type EnginePart = Exclude<Part, "tokenizer">;

/** The parts that a model runs in, by what it is to do. */
export function partsOf(task: Task | undefined): { webgpu: "gpu" | "vlm"; cpu: CpuPart } {
  return task === "generate" ? { webgpu: "vlm", cpu: "vlmCpu" } : { webgpu: "gpu", cpu: "cpu" };
}

/**
 * The wasm files' bindings, each once its part was started: files are fetched when they are needed. What runs models on the CPU is there
 * twice, and the start of such a part settles on one: the other has relaxed SIMD, which some browsers do not know.
 */
export const modules = {} as Modules;

/** Where the bindings come from. A page on the GPU does not load the CPU's, nor one that only classifies those of models that write. */
const bindings: Record<WasmFile, () => Modules[Part] | Promise<Modules[Part]>> = {
  gpu: () => gpu,
  cpu: () => import("../wasm/ocelli_cpu.js"),
  cpuRelaxed: () => import("../wasm/ocelli_cpu_relaxed.js") as unknown as Promise<Cpu>,
  vlm: () => import("../wasm/ocelli_vlm.js"),
  vlmCpu: () => import("../wasm/ocelli_vlm_cpu.js"),
  vlmCpuRelaxed: () => import("../wasm/ocelli_vlm_cpu_relaxed.js") as unknown as Promise<VlmCpu>,
  tokenizer: () => tokenizer,
};

/** Where they are. Bundlers look for exactly these expressions. */
const places: Record<WasmFile, () => URL> = {
  gpu: () => new URL("./ocelli_bg.wasm", import.meta.url),
  cpu: () => new URL("./ocelli_cpu_bg.wasm", import.meta.url),
  cpuRelaxed: () => new URL("./ocelli_cpu_relaxed_bg.wasm", import.meta.url),
  vlm: () => new URL("./ocelli_vlm_bg.wasm", import.meta.url),
  vlmCpu: () => new URL("./ocelli_vlm_cpu_bg.wasm", import.meta.url),
  vlmCpuRelaxed: () => new URL("./ocelli_vlm_cpu_relaxed_bg.wasm", import.meta.url),
  tokenizer: () => new URL("./ocelli_tokenizer_bg.wasm", import.meta.url),
};

/** A file is started once for all models. A start that failed, or that nobody waits for any more, is forgotten: the next load tries again. */
const started: Partial<Record<Part, Shared<void>>> = {};
/** How often a file was started: what was made by an earlier start is gone. */
const starts: Record<Part, number> = { gpu: 0, cpu: 0, vlm: 0, vlmCpu: 0, tokenizer: 0 };

/** Starts a file, if it is not; returns which start it is. */
export async function start(part: Part, options: WasmOptions, signal: AbortSignal | undefined): Promise<number> {
  let begun = started[part];
  if (!begun || begun.stopped) {
    const before = begun?.result.catch(() => {});
    begun = started[part] = new Shared(async (stop) => {
      // Two starts at once would share one instance.
      await before;
      await initialise(part, options, stop);
    });
    const own = begun;
    own.result.catch(() => {
      if (started[part] === own) delete started[part];
    });
  }
  await begun.wait(signal, "load");
  return starts[part];
}

/** Why the CPU's file is not the one that one would expect. */
export let cpuNote: string | undefined;

async function initialise(part: Part, options: WasmOptions, signal: AbortSignal): Promise<void> {
  const use = (bindings: Modules[Part]) => Object.assign(modules, { [part]: bindings });
  if ((part === "cpu" || part === "vlmCpu") && wantsRelaxed(part, options)) {
    const relaxed = (await instantiate(RELAXED[part], options, signal)) as Modules[CpuPart];
    if (await relaxed.Device.sound().catch(() => false)) {
      cpuFiles[part] = RELAXED[part];
      use(relaxed);
      return;
    }
    cpuNote = "This browser's relaxed SIMD computes wrongly, so the CPU does without it: update the browser.";
  }
  if (part === "cpu" || part === "vlmCpu") cpuFiles[part] = part;
  use(await instantiate(part, options, signal));
}

const RELAXED = { cpu: "cpuRelaxed", vlmCpu: "vlmCpuRelaxed" } as const;
/** Which file each part on the CPU is. */
const cpuFiles: Record<CpuPart, WasmFile> = { cpu: "cpu", vlmCpu: "vlmCpu" };

/** Whether this browser knows relaxed SIMD, unless only the other file's place is known. */
function wantsRelaxed(part: CpuPart, options: WasmOptions): boolean {
  const given = (file: WasmFile) => moduleOf(file, options) ?? urlOf(file, options);
  return (given(RELAXED[part]) !== undefined || given(part) === undefined) && WebAssembly.validate(RELAXED_MADD);
}

/** How another thread starts the very file that this part is here: the two round differently. */
export function sameCpuFile(part: CpuPart, options: WasmOptions): WasmOptions {
  const file = cpuFiles[part];
  const module = moduleOf(file, options);
  if (module) return { wasmModule: { [file]: module } };
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  return { wasmUrl: { [file]: new URL(urlOf(file, options) ?? places[file](), base).href } };
}

/** A module with a function of `f32x4.relaxed_madd`. */
const RELAXED_MADD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65,
  0, 253, 15, 253, 133, 2, 11,
]);

async function instantiate(file: WasmFile, options: WasmOptions, signal: AbortSignal): Promise<Modules[Part]> {
  try {
    const fetched = moduleOf(file, options) ?? fetch(urlOf(file, options) ?? places[file](), { signal });
    // Both at once; what became of it is heard below.
    Promise.resolve(fetched).catch(() => {});
    const own = await bindings[file]();
    await own.default({ module_or_path: fetched });
    return own;
  } catch (cause) {
    throw new OcelliError(
      "not-found",
      `${NAMES[file]} cannot be started (${String(cause)}): serve it next to the package's code, or pass wasmUrl.`,
      { cause },
    );
  }
}

const NAMES: Record<WasmFile, string> = {
  gpu: "ocelli_bg.wasm",
  cpu: "ocelli_cpu_bg.wasm",
  cpuRelaxed: "ocelli_cpu_relaxed_bg.wasm",
  vlm: "ocelli_vlm_bg.wasm",
  vlmCpu: "ocelli_vlm_cpu_bg.wasm",
  vlmCpuRelaxed: "ocelli_vlm_cpu_relaxed_bg.wasm",
  tokenizer: "ocelli_tokenizer_bg.wasm",
};

// What stands by itself is the file for the GPU, which is the one that most are after.
const first = (file: WasmFile) => file === "gpu" || file === "vlm";

function urlOf(file: WasmFile, { wasmUrl }: WasmOptions): string | URL | undefined {
  return typeof wasmUrl === "string" || wasmUrl instanceof URL ? (first(file) ? wasmUrl : undefined) : wasmUrl?.[file];
}

function moduleOf(file: WasmFile, { wasmModule }: WasmOptions): WebAssembly.Module | undefined {
  return wasmModule instanceof WebAssembly.Module ? (first(file) ? wasmModule : undefined) : wasmModule?.[file];
}

/** Whether what the start of this number made is still there. */
export function alive(part: Part, start: number): boolean {
  return starts[part] === start;
}

/** Whom to tell when a start is gone. */
const listeners: Record<Part, Set<() => void>> = {
  gpu: new Set(),
  cpu: new Set(),
  vlm: new Set(),
  vlmCpu: new Set(),
  tokenizer: new Set(),
};

/** Calls `listener` once when what the start of this number made is gone, at once if it is. Returns how to stop listening. */
export function whenAbandoned(part: Part, start: number, listener: () => void): () => void {
  if (!alive(part, start)) {
    listener();
    return () => {};
  }
  listeners[part].add(listener);
  return () => void listeners[part].delete(listener);
}

/** After a trap nothing in an instance can be relied on: the next start makes a new one. */
export function abandon(part: Part, start: number): void {
  if (!alive(part, start)) return;
  starts[part] += 1;
  delete started[part];
  modules[part].__wbg_reset_state();
  const told = [...listeners[part]];
  listeners[part].clear();
  for (const listener of told) listener();
}
