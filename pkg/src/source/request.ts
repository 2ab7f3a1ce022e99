import { OcelliError } from "../error.js";
import type { Bytes } from "./types.js";

/** Attempts at a request, or at continuing a broken body, that may fail in a row. */
const TRIES = 4;
const FIRST_PAUSE_MS = 150;

/** The server has no such file, or not for us; `why` says how it answered. */
export class Missing extends Error {
  constructor(readonly why: string) {
    super(why);
  }
}

/** What a promise comes to, or the signal's reason at once: a `fetch` of the user's own need not listen to the signal. */
export function heed<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Lets go of a body that nobody reads. One that failed says so where it is read. */
export function discard(body: ReadableStream | null): void {
  body?.cancel().catch(() => {});
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

/** A body, and the byte of the file at which it begins. */
export interface Answered {
  body: ReadableStream<Bytes>;
  start: number;
  /** The file ends before the bytes that were asked for. */
  beyond: boolean;
}

/**
 * The body of `first`, chunk by chunk. Where it breaks off, or ends before byte `end`, it is mended: `again` asks for the bytes from
 * there on. `end` is what the server said, and may be the length of a compressed body: where the file has been seen to end, it ends.
 */
export function mended(
  url: string,
  first: Answered,
  end: number | undefined,
  again: (from: number) => Promise<Answered>,
  signal: AbortSignal,
): { pull: () => Promise<Bytes | undefined>; cancel: () => void } {
  let answer = first;
  let reader = first.body.getReader();
  let position = first.start;
  /** Bytes to skip, because the answer begins before the byte that was requested. */
  let repeated = 0;
  let failures = 0;
  /** Where a body ended before `end`. */
  let ended = 0;
  const pull = async () => {
    for (;;) {
      try {
        const { done, value } = await heed(reader.read(), signal);
        if (done && (end === undefined || position >= end)) return undefined;
        // The whole file came twice, and ended at the same byte.
        if (done && ended > 0 && position === ended && answer !== first && answer.start === 0) return undefined;
        if (done) {
          ended = position;
          throw new Error("the body ended too early");
        }
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
        answer = await again(position);
        reader = answer.body.getReader();
        repeated = position - answer.start;
        if (answer.beyond) end = position;
      }
    }
  };
  // A body that failed says so where it is read.
  return { pull, cancel: () => void reader.cancel().catch(() => {}) };
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
