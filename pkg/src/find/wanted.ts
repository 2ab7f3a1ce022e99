import { OcelliError } from "../error.js";
import type { Wanted } from "./plain.js";
import type { FindOptions } from "./types.js";

/** What the engine is asked for. @throws {OcelliError} With code `bad-input` for what makes no sense. */
export function wantedOf(options: FindOptions, owners: Int32Array, thresholds: Float64Array): Wanted {
  const { threshold = 0.1, nms, topK, clip = true, normalized = false, multiLabel = false } = options;
  requireShare("threshold", threshold);
  if (nms !== undefined) requireShare("nms", nms);
  if (topK !== undefined && topK !== Infinity && !(Number.isInteger(topK) && topK >= 1))
    throw new OcelliError("bad-input", `topK: expected a whole number of at least 1, found ${String(topK)}.`);
  for (const [name, given] of Object.entries({ clip, normalized, multiLabel }))
    if (typeof given !== "boolean")
      throw new OcelliError("bad-input", `${name}: expected true or false, found ${JSON.stringify(given)}.`);
  const most = topK === undefined ? undefined : Math.min(topK, 2 ** 31);
  return { threshold, thresholds, owners, nms, topK: most, clip, normalized, multiLabel };
}

/** @throws {OcelliError} With code `bad-input` for anything but a number from 0 to 1. */
export function requireShare(name: string, given: unknown): void {
  if (typeof given !== "number" || !(given >= 0 && given <= 1))
    throw new OcelliError("bad-input", `${name}: expected a number from 0 to 1, found ${String(given)}.`);
}
