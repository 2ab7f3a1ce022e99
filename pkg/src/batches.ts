import type { Core } from "./core.js";
import { aborted, OcelliError, wrap } from "./error.js";
import type { BatchOptions, ImageInput } from "./types.js";
import { rowsOf } from "./vectors.js";

/**
 * The embedding of each picture, in order. While the device works on one batch, the next one is decoded and submitted. One batch of
 * decoded pictures is in memory at a time.
 */
export async function embedPictures(core: Pick<Core, "imageBatch" | "embedImages">, images: Iterable<ImageInput>, dim: number, options: BatchOptions, firstIndex = 0): Promise<Float32Array[]> {
  const { onProgress, signal } = options;
  if (typeof images === "string" || typeof images?.[Symbol.iterator] !== "function") {
    throw new OcelliError("bad-input", "images: expected an array of pictures or another iterable.");
  }
  const check = () => {
    if (signal?.aborted) throw aborted(signal.reason, "call");
  };
  check();
  const batches = chunks(images, await core.imageBatch());
  const embeddings: Float32Array[] = [];
  let first = firstIndex;
  let running: Promise<Float32Array> | undefined;
  try {
    do {
      check();
      const batch = yours("images", () => batches.next().value);
      const start = first;
      const before = running;
      running = batch && core.embedImages(batch).catch((error: unknown) => {
        throw numbered(error, start);
      });
      // It is waited for in its turn; until then its error is no unhandled one.
      running?.catch(() => {});
      first += batch?.length ?? 0;
      if (before) {
        embeddings.push(...split(await before, dim));
        yours("onProgress", () => onProgress?.(embeddings.length));
      }
    } while (running);
    return embeddings;
  } finally {
    // Nothing goes on behind the caller's back.
    await running?.catch(() => {});
    yours("images", () => batches.return(undefined));
  }
}

/** Embeddings that lie one after the other, each in memory of its own. */
export function split(flat: Float32Array, dim: number): Float32Array[] {
  return rowsOf(flat, dim).map((row) => row.slice());
}

function* chunks<T>(items: Iterable<T>, size: number): Generator<T[], undefined> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** Says which picture it is; `start` is the batch's first. */
function numbered(error: unknown, start: number): OcelliError {
  const { code, message, cause } = wrap(error);
  const index = (error as { index?: unknown }).index;
  return typeof index === "number" ? new OcelliError(code, `images[${start + index}]: ${message}`, { cause }) : wrap(error);
}

/** The caller's own code: what it throws is no bug of ours. */
function yours<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw cause instanceof OcelliError ? cause : new OcelliError("bad-input", `${what}: ${String(cause)}`, { cause });
  }
}
