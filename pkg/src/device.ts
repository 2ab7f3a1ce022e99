import { OcelliError, wrap } from "./error.js";
import { withoutGpuErrors, type GpuDevice } from "./gpu.js";
import { threadsOf } from "./team.js";
import { alive, cpuNote, modules, partsOf, start, type EnginePart } from "./wasm.js";
import type { Backend, CpuPart, Task, Tier, WasmOptions } from "./types.js";
import type { Device as GpuEngine } from "../wasm/ocelli.js";
import type { Device as CpuEngine } from "../wasm/ocelli_cpu.js";

/** What a model will run on. */
export interface Found {
  part: EnginePart;
  backend: Backend;
  /** Of which start of its wasm file it is. */
  start: number;
  device: GpuEngine | CpuEngine;
  /** The `GPUDevice`; none on the CPU. */
  handle: GpuDevice | undefined;
  adapter: string;
  /** Why it is not what one would expect. */
  note?: string | undefined;
}

export interface DeviceOptions extends WasmOptions {
  backend: Backend | "auto";
  threads: "auto" | number;
  powerPreference: string;
  tier: "auto" | Tier;
  /** What the model must be able to do, if anything. */
  task: Task | undefined;
}

/** Where the outcome of the races is kept from visit to visit. Pages have such a place; a worker hands it to its page. */
const KEY = "ocelli.devices";

/** How long the browser may take to answer for a GPU. A time in which this thread stands still does not count. */
const ANSWER_MS = 10_000;
const STEPS = 40;

/** Billions of operations a second that a GPU surely does and one thread of a CPU does not: below, the two are compared. */
const SURELY_A_GPU = 40;

/** What is known of a device from an earlier visit: its best tiers, as the engine writes them, and billions of operations a second. */
interface Outcome {
  tier?: string;
  rate: number;
}

/** By the device's name. */
type Known = Record<string, Outcome>;

interface Likely extends Pick<Found, "part" | "backend" | "start" | "note"> {}

/** Where a model will run, unless a race says otherwise; its wasm file is started. */
export async function likely(options: DeviceOptions, signal: AbortSignal | undefined): Promise<Likely> {
  if (!["auto", "webgpu", "cpu"].includes(options.backend)) {
    throw new OcelliError(
      "bad-input",
      `backend: expected "auto", "webgpu" or "cpu", found ${String(options.backend)}.`,
    );
  }
  const trouble = options.backend === "cpu" ? undefined : await noWebGpu();
  if (trouble && options.backend === "webgpu") throw trouble;
  const backend = trouble || options.backend === "cpu" ? "cpu" : "webgpu";
  const part = partsOf(options.task)[backend];
  return { part, backend, start: await start(part, options, signal), note: trouble?.message };
}

/**
 * A device, and which kernels it runs: those asked for, those that won on such a device before, or those that win a short race
 * now. It goes on while the model's first files are fetched. A GPU that is none, but an emulation on the CPU, loses to the CPU
 * itself: found by racing them, too.
 */
export async function requestDevice(first: Likely, options: DeviceOptions, signal: AbortSignal): Promise<Found> {
  const parts = partsOf(options.task);
  if (first.backend === "cpu") return cpu(parts.cpu, first.start, first.note);
  const part = parts.webgpu;
  let device: GpuEngine;
  try {
    device = await answered(modules[part].Device.request(options.powerPreference), (late) => {
      if (alive(part, first.start)) late.free();
    });
  } catch (error) {
    const { code, message } = wrap(error);
    if (code !== "no-webgpu") throw error;
    // wgpu hands on the browser's words with their stack.
    const said = (message.split("\n")[0] as string).replace("JsValue(", "");
    const why = error instanceof OcelliError ? error : refused(`gives no device (${said})`, error);
    if (options.backend !== "auto") throw why;
    return cpu(parts.cpu, await start(parts.cpu, options, signal), why.message);
  }
  const handle = device.handle as GpuDevice;
  const { vendor = "", architecture = "", description = "" } = handle.adapterInfo ?? {};
  // What won may be another with the next version.
  const name = [vendor, architecture, description, modules[part].Device.version()].join("|");
  const adapter = description || [vendor, architecture].filter(Boolean).join(" ") || "WebGPU";
  const found: Found = { part, backend: "webgpu", start: first.start, device, handle, adapter };
  try {
    return await settled(found, name, options, signal);
  } catch (error) {
    // Nobody else knows of it.
    if (alive(part, first.start)) device.free();
    throw error;
  }
}

/** With its kernels chosen; or the CPU in its place. */
async function settled(found: Found, name: string, options: DeviceOptions, signal: AbortSignal): Promise<Found> {
  const { adapter } = found;
  const [device, handle] = [found.device as GpuEngine, found.handle as GpuDevice];
  if (options.tier !== "auto") {
    device.setTier(options.tier);
    found.note = (await sound(device, handle)) ? undefined : wrong(options.tier);
    return found;
  }
  const { rate, note } = await settle(device, handle, name);
  found.note = note;
  if (options.backend !== "auto" || rate >= SURELY_A_GPU) return found;
  try {
    const part = partsOf(options.task).cpu;
    const why = note ?? `This GPU is slower than the CPU: ${adapter}.`;
    const own = cpu(part, await start(part, options, signal), why);
    if (rateOf(part, own.device as CpuEngine) * threadsOf(options.threads) > rate) {
      device.free();
      return own;
    }
    own.device.free();
  } catch {
    // A browser without SIMD, or a file that is not there: the GPU does, however slow.
  }
  return found;
}

function cpu(part: CpuPart, start: number, why: string | undefined): Found {
  const note = [why, cpuNote].filter(Boolean).join(" ") || undefined;
  return { part, backend: "cpu", start, device: new modules[part].Device(), handle: undefined, adapter: "CPU", note };
}

/** Sets the best tier of those that compute rightly; returns billions of operations a second in it, 0 if none does. */
async function settle(
  device: GpuEngine,
  handle: GpuDevice,
  name: string,
): Promise<{ rate: number; note?: string | undefined }> {
  const before = recall(name);
  let note: string | undefined;
  if (before?.tier !== undefined && takes(device, before.tier)) {
    if (await sound(device, handle)) {
      device.expect(before.rate);
      return { rate: before.rate };
    }
    note = wrong([...new Set(before.tier.split(" "))].join(" or "));
  }
  try {
    const rate = await withoutGpuErrors(handle, () => device.race());
    if (rate === 0) return { rate, note: wrong("every one") };
    remember(name, { tier: device.tier, rate });
    return { rate, note };
  } catch {
    // A tier that this driver refuses has lost; if it was worse than that, whatever is done next says so.
    return { rate: Infinity, note };
  }
}

/** Sets tiers that an earlier visit kept, unless another version wrote them, or somebody. */
function takes(device: GpuEngine, tier: string): boolean {
  try {
    device.setTier(tier);
    return true;
  } catch {
    return false;
  }
}

const wrong = (tier: string) => `Of this GPU's kernel tiers ${tier} computes wrongly: update the graphics driver.`;

async function sound(device: GpuEngine, handle: GpuDevice): Promise<boolean> {
  return withoutGpuErrors(handle, () => device.sound()).catch(() => false);
}

function rateOf(part: CpuPart, device: CpuEngine): number {
  const name = `cpu|${modules[part].Device.version()}`;
  const rate = recall(name)?.rate ?? device.race();
  remember(name, { rate });
  return rate;
}

/** Why there is no WebGPU, if there is none. */
async function noWebGpu(): Promise<OcelliError | undefined> {
  if (globalThis.isSecureContext === false) {
    return new OcelliError("insecure-context", "WebGPU needs a secure page: serve it over https, or from localhost.");
  }
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: { requestAdapter(): Promise<unknown> } };
  if (!gpu) {
    return new OcelliError("no-webgpu", "This browser has no WebGPU: use a current Chrome, Edge, Safari or Firefox.");
  }
  // Asked here first, because wgpu's own words for an absent adapter help nobody.
  try {
    if (await answered((async () => gpu.requestAdapter())())) return undefined;
  } catch (cause) {
    return cause instanceof OcelliError ? cause : refused(`refuses a GPU for it (${String(cause)})`, cause);
  }
  return refused("gives no GPU for it");
}

function refused(how: string, cause?: unknown): OcelliError {
  return new OcelliError(
    "no-webgpu",
    `This browser has WebGPU, but ${how}: turn graphics acceleration on in its settings, or update the graphics driver.`,
    { cause },
  );
}

/** The browser's answer; what comes too late is let go of. */
async function answered<T>(answer: Promise<T>, drop: (late: T) => void = () => {}): Promise<T> {
  let here = false;
  const arrived = answer.finally(() => (here = true));
  // In steps: a thread that stood still has not listened.
  const silence = async () => {
    for (let step = 0; step < STEPS && !here; step++)
      await new Promise((resolve) => setTimeout(resolve, ANSWER_MS / STEPS));
  };
  await Promise.race([arrived, silence()]);
  if (here) return arrived;
  arrived.then(drop, () => {});
  throw refused(`has not answered for ${ANSWER_MS / 1000} seconds when asked for a GPU`);
}

/** What is known, in this page or worker. */
export const memory = { text: "{}" };
try {
  memory.text = globalThis.localStorage?.getItem(KEY) ?? memory.text;
} catch {
  // Storage is forbidden.
}

/** Whatever else is in storage is as if nothing were. */
function known(): Known {
  try {
    const kept: unknown = JSON.parse(memory.text);
    return Object.fromEntries(
      Object.entries(kept ?? {}).filter((entry): entry is [string, Outcome] => isOutcome(entry[1])),
    );
  } catch {
    return {};
  }
}

function isOutcome(value: unknown): value is Outcome {
  const { tier, rate } = (value ?? {}) as Partial<Record<keyof Outcome, unknown>>;
  return typeof rate === "number" && rate >= 0 && (tier === undefined || typeof tier === "string");
}

/** Keeps what is known for the next visit. */
export function keep(text: string): void {
  memory.text = text;
  try {
    globalThis.localStorage?.setItem(KEY, text);
  } catch {
    // Storage is full or forbidden: the next visit races again.
  }
}

function recall(name: string): Outcome | undefined {
  return known()[name];
}

function remember(name: string, outcome: Outcome): void {
  keep(JSON.stringify({ ...known(), [name]: outcome }));
}
