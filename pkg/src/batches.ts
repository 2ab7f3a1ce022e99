import { aborted, OcelliError, wrap } from "./error.js";
import { live, open, type Source } from "./image.js";
import type { BatchOptions, ImageInput } from "./types.js";
import type { Engine, Pending } from "../wasm/ocelli.js";

/**
 * The embedding of each picture, in order. While the GPU works on one batch, the next is decoded and submitted, and only then
 * the first one's embeddings are waited for. One batch of decoded pictures is in memory at a time.
 */
export async function embedPictures(engine: Engine, images: Iterable<ImageInput>, dim: number, options: BatchOptions, firstIndex = 0): Promise<Float32Array[]> {
  const { onProgress, signal } = options;
  if (typeof images === "string" || typeof images?.[Symbol.iterator] !== "function") {
    throw new OcelliError("bad-input", "images: expected an array of pictures or another iterable.");
  }
  const check = () => {
    if (signal?.aborted) throw aborted(signal.reason, "call");
  };
  const embeddings: Float32Array[] = [];
  const batches = chunks(images, engine.imageBatch());
  let first = firstIndex;
  let coming: Promise<Source[]> = Promise.resolve([]);
  let running: Pending | undefined;
  const begin = () => {
    coming = decode(yours("images", () => batches.next().value ?? []), first);
    // It is waited for in its turn; until then its error is no unhandled one.
    coming.catch(() => {});
  };
  try {
    check();
    begin();
    do {
      const sources = await coming;
      check();
      const submitted = sources.length > 0 ? submit(engine, sources, first) : undefined;
      const before = running;
      running = submitted;
      release(sources);
      first += sources.length;
      if (submitted) begin();
      if (before) {
        embeddings.push(...split(await engine.read(before), dim));
        yours("onProgress", () => onProgress?.(embeddings.length));
        check();
      }
    } while (running);
    return embeddings;
  } finally {
    running?.free();
    await coming.then(release, () => {});
    yours("images", () => batches.return(undefined));
  }
}

/** Embeddings that lie one after the other. */
export function split(flat: Float32Array, dim: number): Float32Array[] {
  return Array.from({ length: flat.length / dim }, (_, i) => flat.slice(i * dim, (i + 1) * dim));
}

/** Hands a picture to `use`, decoded or as the video that it is, and lets go of it. */
export async function withPicture<T>(image: ImageInput, use: (pixels: Source["pixels"] | HTMLVideoElement | VideoFrame) => Promise<T>): Promise<T> {
  const video = live(image);
  if (video) {
    try {
      return await use(video);
    } catch (error) {
      // The browser copies no videos, or not this one.
      if (wrap(error).code !== "bad-image") throw error;
    }
  }
  const source = await open(image);
  try {
    return await use(source.pixels);
  } finally {
    source.release();
  }
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

/** All pictures, or none and the first one's error. */
async function decode(images: ImageInput[], first: number): Promise<Source[]> {
  const outcomes = await Promise.allSettled(images.map(open));
  const sources = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const failed = outcomes.findIndex((outcome) => outcome.status === "rejected");
  if (failed < 0) return sources;
  release(sources);
  throw numbered((outcomes[failed] as PromiseRejectedResult).reason, first + failed);
}

/** Without a pause, so that no other call puts its pictures in between. */
function submit(engine: Engine, sources: Source[], first: number): Pending {
  sources.forEach((source, item) => {
    try {
      engine.putImage(source.pixels, item);
    } catch (error) {
      throw numbered(error, first + item);
    }
  });
  return engine.runImages(sources.length);
}

function release(sources: Source[]): void {
  for (const source of sources) source.release();
}

/** Says which picture it is. */
function numbered(error: unknown, index: number): OcelliError {
  const { code, message, cause } = wrap(error);
  return new OcelliError(code, `images[${index}]: ${message}`, { cause });
}

/** The caller's own code: what it throws is no bug of ours. */
function yours<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw cause instanceof OcelliError ? cause : new OcelliError("bad-input", `${what}: ${String(cause)}`, { cause });
  }
}
