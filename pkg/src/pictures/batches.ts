import type { Calls } from "../calls.js";
import { aborted, callersError, OcelliError, wrap } from "../error.js";
import type { BatchOptions, ImageInput } from "../types.js";
import { rowsOf } from "../vectors.js";

/** What embeds batches of images. */
export type Embedder = Pick<Calls, "imageBatch" | "embedImages">;

/**
 * The embeddings of images in order, batch by batch. While the device works on one batch, the next one is decoded and submitted. One
 * batch of decoded images is in memory at a time.
 */
export async function* embeddedBatches(
  embedder: Embedder,
  images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
  dim: number,
  signal: AbortSignal | undefined,
  transfer = false,
): AsyncGenerator<Float32Array[], void, undefined> {
  const check = () => {
    if (signal?.aborted) throw aborted(signal.reason, "call");
  };
  requireIterable(images);
  check();
  const batches = chunks(images, await embedder.imageBatch());
  let first = 0;
  let running: Promise<Float32Array> | undefined;
  try {
    do {
      check();
      const { value: batch } = await yours("images", () => batches.next());
      const start = first;
      const before = running;
      running =
        batch &&
        embedder.embedImages(batch, signal, transfer).catch((error: unknown) => {
          throw numbered(error, start);
        });
      // It is waited for in its turn; until then its error is no unhandled one.
      running?.catch(() => {});
      first += batch?.length ?? 0;
      if (before) yield split(await before, dim);
    } while (running);
  } finally {
    // Nothing goes on behind the caller's back.
    await running?.catch(() => {});
    await yours("images", () => batches.return(undefined));
  }
}

/** The embedding of each image, in order. */
export async function embedPictures(
  embedder: Embedder,
  images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
  dim: number,
  { onProgress, signal, transfer }: BatchOptions = {},
): Promise<Float32Array[]> {
  const embeddings: Float32Array[] = [];
  for await (const batch of embeddedBatches(embedder, images, dim, signal, transfer)) {
    embeddings.push(...batch);
    await yours("onProgress", () => onProgress?.(embeddings.length));
  }
  return embeddings;
}

/** Embeddings that lie one after the other, each in memory of its own. */
export function split(flat: Float32Array, dim: number): Float32Array[] {
  return rowsOf(flat, dim).map((row) => row.slice());
}

/** So many at a time. */
async function* chunks<T>(items: Iterable<T> | AsyncIterable<T>, size: number): AsyncGenerator<T[], undefined> {
  let chunk: T[] = [];
  for await (const item of items) {
    if (chunk.push(item) < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** @throws {OcelliError} With code `bad-input` for what are no images one after the other. */
function requireIterable(images: unknown): asserts images is Iterable<ImageInput> | AsyncIterable<ImageInput> {
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = (images ?? {}) as AsyncIterable<unknown> &
    Iterable<unknown>;
  if (typeof images === "string" || !(later ?? now))
    throw new OcelliError("bad-input", "images: expected an array of images or another iterable.");
}

/** Says which image it is; `start` is the batch's first. */
function numbered(error: unknown, start: number): OcelliError {
  const wrapped = wrap(error);
  const { code, message, cause } = wrapped;
  // A worker's errors are told apart by what they carry, not by their class.
  const { index } = [wrapped, cause].find(hasIndex) ?? {};
  return index === undefined ? wrapped : new OcelliError(code, `images[${start + index}]: ${message}`, { cause });
}

function hasIndex(error: unknown): error is { index: number } {
  return typeof (error as { index?: unknown } | null | undefined)?.index === "number";
}

/** Runs the caller's own code. */
async function yours<T>(what: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw callersError(what, cause);
  }
}
