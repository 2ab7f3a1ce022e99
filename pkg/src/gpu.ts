import { OcelliError } from "./error.js";

/** What this package uses of a `GPUDevice`. */
export interface GpuDevice extends EventTarget {
  readonly lost: Promise<{ reason: string; message: string }>;
  readonly adapterInfo?: { vendor?: string; architecture?: string; description?: string };
  pushErrorScope(filter: "validation" | "out-of-memory" | "internal"): void;
  popErrorScope(): Promise<{ message: string } | null>;
}

/** Runs `work`; on the CPU there is no device. Memory that the GPU does not have shows only here: a buffer that could not be made looks like any other. */
export async function withoutGpuErrors<T>(device: GpuDevice | undefined, work: () => T): Promise<Awaited<T>> {
  if (!device) return await work();
  const filters = ["out-of-memory", "validation", "internal"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const result = await work();
  const errors = await Promise.all(filters.map(() => device.popErrorScope()));
  const found = errors.find((error) => error !== null);
  if (!found) return result;
  throw new OcelliError(
    "gpu",
    `The model cannot be put on this GPU (${found.message}): try a smaller one, or format "q8" or "q4".`,
  );
}
