import { OcelliError } from "../error.js";

/** Attempts at a request, or at continuing a broken body, that may fail in a row. */
const TRIES = 4;
const FIRST_PAUSE_MS = 150;

/** The server has no such file; `why` says how it answered. */
export class Missing extends Error {
  constructor(readonly why: string) {
    super(why);
  }
}

/** HTTP status for a range that begins beyond the end of the file. */
export const BEYOND = 416;

/** A range of bytes; without an end it reaches to the end of the file. */
export interface Range {
  start: number;
  end?: number | undefined;
}

/** Headers that request a range. Unlike `If-Range` they need no preflight, which the hub's CDN would refuse; versions are compared here. */
export function rangeHeader({ start, end }: Range): Record<string, string> {
  return { range: `bytes=${start}-${end === undefined ? "" : end - 1}` };
}

/** Requests until the answer is not a temporary failure of network or server, a few times at most. */
export async function patiently(url: string, request: () => Promise<Response>, signal: AbortSignal): Promise<Response> {
  for (let tries = 1; ; tries++) {
    let trouble: OcelliError;
    try {
      const response = await request();
      if (![408, 429].includes(response.status) && response.status < 500) return response;
      await response.body?.cancel();
      trouble = new OcelliError(
        "not-found",
        `${url}: expected the file, found HTTP ${response.status} ${TRIES} times: try again later.`,
      );
    } catch (cause) {
      if (signal.aborted || cause instanceof Missing || cause instanceof OcelliError) throw cause;
      trouble = new OcelliError(
        "not-found",
        `${url}: cannot be fetched: the address is wrong, the network is down, or its server does not allow this page (CORS).`,
        { cause },
      );
    }
    if (tries === TRIES) throw trouble;
    await pause(tries, signal);
  }
}

/**
 * The body of `first`, which begins at byte `start`, chunk by chunk. Where it breaks off before byte `end`, it is mended: `again` asks
 * for the bytes from there on, and says where its answer begins.
 */
export function mended(
  url: string,
  first: Response,
  start: number,
  end: number | undefined,
  again: (from: number) => Promise<{ response: Response; start: number }>,
  signal: AbortSignal,
): { pull: () => Promise<Uint8Array<ArrayBuffer> | undefined>; cancel: () => void } {
  let reader = readerOf(first);
  let position = start;
  /** Bytes to skip, because the answer begins before the byte that was requested. */
  let repeated = 0;
  let failures = 0;
  const pull = async () => {
    for (;;) {
      try {
        const { done, value } = await reader.read();
        if (done && (end === undefined || position >= end)) return undefined;
        if (done) throw new Error("the body ended too early");
        const fresh = value.subarray(repeated);
        repeated = Math.max(0, repeated - value.byteLength);
        if (fresh.byteLength === 0) continue;
        position += fresh.byteLength;
        failures = 0;
        return fresh;
      } catch (cause) {
        signal.throwIfAborted();
        if (++failures === TRIES) {
          throw new OcelliError(
            "not-found",
            `${url}: the connection broke off at byte ${position} again and again: try again later.`,
            { cause },
          );
        }
        await pause(failures, signal);
        const next = await again(position);
        reader = readerOf(next.response);
        repeated = position - next.start;
        // Nothing lies beyond: the length that was said was that of a compressed body.
        if (next.response.status === BEYOND) end = position;
      }
    }
  };
  // A body that failed says so where it is read.
  return { pull, cancel: () => void reader.cancel().catch(() => {}) };
}

function readerOf(response: Response): ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> {
  return (response.status === BEYOND ? new Blob([]).stream() : (response.body ?? new Blob([]).stream())).getReader();
}

/** Waits before another attempt, twice as long each time. */
function pause(tries: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", stop);
        resolve();
      },
      FIRST_PAUSE_MS * 2 ** (tries - 1),
    );
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
