import { withoutGpuErrors, type GpuDevice } from "./gpu.js";
import type { Tier } from "./types.js";
import { Device } from "../wasm/ocelli.js";

/** Where the outcome of the race is kept from visit to visit; pages have it, workers do not. */
const KEY = "ocelli.tiers";

/**
 * A device, and which kernels it runs: those asked for, those that won on such a device before, or those that win a short race
 * now. It goes on while the model's first files are fetched.
 */
export async function requestDevice(power: string, tier: "auto" | Tier): Promise<Device> {
  const device = await Device.request(power);
  if (tier !== "auto") {
    device.setTier(tier);
    return device;
  }
  const handle = device.handle as GpuDevice;
  const { vendor = "", architecture = "", description = "" } = handle.adapterInfo ?? {};
  const name = [vendor, architecture, description, Device.version()].join("|");
  const known = recall();
  const before = known[name];
  if (before !== undefined && device.tiers().includes(before)) {
    device.setTier(before);
    return device;
  }
  try {
    await withoutGpuErrors(handle, () => device.race());
    remember({ ...known, [name]: device.tier ?? "" });
  } catch {
    // A tier that this driver refuses has lost; if it was worse than that, whatever is done next says so.
  }
  return device;
}

function recall(): Record<string, string> {
  try {
    return JSON.parse(globalThis.localStorage?.getItem(KEY) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}

function remember(tiers: Record<string, string>): void {
  try {
    globalThis.localStorage?.setItem(KEY, JSON.stringify(tiers));
  } catch {
    // Storage is full or forbidden: the next visit races again.
  }
}
