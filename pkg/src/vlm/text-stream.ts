import type { Written } from "./types.js";

/**
 * A text in the parts in which it comes: a stream that can be piped, and `for await` as well. Parts come whether they are read or not; who
 * cancels the stream, or leaves the loop, ends the text.
 */
export type TextStream = ReadableStream<string> &
  AsyncIterable<string> & {
    /** The whole of it, once it has ended. */
    readonly written: Promise<Written>;
  };

/** The stream of what `write` tells; its signal fires with the caller's, or when nobody wants the stream any more. */
export function textStream(
  signal: AbortSignal | undefined,
  write: (signal: AbortSignal, tell: (part: string) => void) => Promise<Written>,
): TextStream {
  const stop = new AbortController();
  const relay = () => stop.abort(signal?.reason);
  if (signal?.aborted) relay();
  signal?.addEventListener("abort", relay);
  let cancelled = false;
  let written!: Promise<Written>;
  const stream = new ReadableStream<string>({
    start(controller) {
      written = write(stop.signal, (part) => controller.enqueue(part)).finally(() =>
        signal?.removeEventListener("abort", relay),
      );
      written.then(
        () => cancelled || controller.close(),
        (error: unknown) => controller.error(error),
      );
    },
    cancel(reason) {
      cancelled = true;
      stop.abort(reason);
    },
  });
  // Not every browser's streams are iterable.
  return Object.assign(stream, { written, [Symbol.asyncIterator]: () => partsOf(stream) });
}

async function* partsOf(stream: ReadableStream<string>): AsyncGenerator<string, void, undefined> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Of a stream that has ended it does nothing.
    await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}
