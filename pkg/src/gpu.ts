import { OcelliError } from "./error.js";

/** What this package uses of a `GPUDevice`. */
export interface GpuDevice extends EventTarget {
  readonly lost: Promise<{ reason: string; message: string }>;
  readonly adapterInfo?: { vendor?: string; architecture?: string; description?: string };
  pushErrorScope(filter: "validation" | "out-of-memory" | "internal"): void;
  popErrorScope(): Promise<{ message: string } | null>;
}

const FILTERS = ["out-of-memory", "validation", "internal"] as const;

/** Opens error scopes; what is returned closes them, and gives the words of the error that they caught, if any. */
function openScopes(device: GpuDevice): () => Promise<string | undefined> {
  for (const filter of FILTERS) device.pushErrorScope(filter);
  return async () => {
    // A device that is lost may refuse; that it is, it says elsewhere.
    const errors = await Promise.all(FILTERS.map(() => device.popErrorScope().catch(() => null)));
    return errors.find((error) => error !== null)?.message;
  };
}

/**
 * Runs `work` on a device that nobody else uses meanwhile; on the CPU there is none. Memory that the GPU does not have shows only
 * here: a buffer that could not be made looks like any other.
 */
export async function withoutGpuErrors<T>(device: GpuDevice | undefined, work: () => T): Promise<Awaited<T>> {
  if (!device) return await work();
  const close = openScopes(device);
  let found: Promise<string | undefined> | undefined;
  let result: Awaited<T>;
  try {
    result = await work();
  } finally {
    found = close();
  }
  const words = await found;
  if (words === undefined) return result;
  throw new OcelliError(
    "gpu",
    `The model cannot be put on this GPU (${words}): try a smaller one, or format "q8" or "q4".`,
  );
}

/**
 * Runs `work`, which submits something without a pause: nothing of another call comes in between, so that errors of the GPU in it
 * are its own. `drop` lets go of what it gave if there is one.
 *
 * @throws {OcelliError} With code `gpu`.
 */
export async function submitted<T>(
  device: GpuDevice | undefined,
  work: () => T,
  drop: (result: T) => void = () => {},
): Promise<T> {
  if (!device) return work();
  const close = openScopes(device);
  let found: Promise<string | undefined> | undefined;
  let result: T;
  try {
    result = work();
  } finally {
    found = close();
  }
  const words = await found;
  if (words === undefined) return result;
  drop(result);
  throw new OcelliError("gpu", `The GPU refused: ${words}`);
}
