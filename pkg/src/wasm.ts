import { OcelliError } from "./error.js";
import { Shared } from "./shared.js";
import type { WasmOptions } from "./types.js";
import * as cpu from "../wasm/ocelli_cpu.js";
import * as gpu from "../wasm/ocelli.js";
import * as tokenizer from "../wasm/ocelli_tokenizer.js";

/** The package's wasm files: models on the GPU, models on the CPU, tokenizers. Each is fetched when it is needed. */
export const modules = { gpu, cpu, tokenizer };
export type Part = keyof typeof modules;

/** Where they are. Bundlers look for exactly these expressions. */
const places: Record<Part, () => URL> = {
  gpu: () => new URL("./ocelli_bg.wasm", import.meta.url),
  cpu: () => new URL("./ocelli_cpu_bg.wasm", import.meta.url),
  tokenizer: () => new URL("./ocelli_tokenizer_bg.wasm", import.meta.url),
};

/** A file is started once for all models. A start that failed, or that nobody waits for any more, is forgotten: the next load tries again. */
const started: Partial<Record<Part, Shared<void>>> = {};
/** How often a file was started: what was made by an earlier start is gone. */
const starts: Record<Part, number> = { gpu: 0, cpu: 0, tokenizer: 0 };

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

async function initialise(part: Part, { wasmUrl, wasmModule }: WasmOptions, signal: AbortSignal): Promise<void> {
  // The first file is the one that most are after.
  const url =
    typeof wasmUrl === "string" || wasmUrl instanceof URL ? (part === "gpu" ? wasmUrl : undefined) : wasmUrl?.[part];
  const module =
    wasmModule instanceof WebAssembly.Module ? (part === "gpu" ? wasmModule : undefined) : wasmModule?.[part];
  try {
    await modules[part].default({ module_or_path: module ?? fetch(url ?? places[part](), { signal }) });
  } catch (cause) {
    throw new OcelliError(
      "not-found",
      `ocelli${part === "gpu" ? "" : `_${part}`}_bg.wasm cannot be started (${String(cause)}): serve it beside the package's code, or pass wasmUrl.`,
      { cause },
    );
  }
}

/** Whether what the start of this number made is still there. */
export function alive(part: Part, start: number): boolean {
  return starts[part] === start;
}

/** Whom to tell when a start is gone. */
const listeners: Record<Part, Set<() => void>> = { gpu: new Set(), cpu: new Set(), tokenizer: new Set() };

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
