/**
 * Stable names of what can go wrong.
 * - `no-webgpu`: this browser or machine gives no WebGPU adapter.
 * - `insecure-context`: the page is neither https nor localhost.
 * - `not-found`: a file of the model folder, or the wasm file, cannot be fetched.
 * - `gated`: a repository of the Hugging Face hub is not for everyone: its licence has to be accepted, or it is private, and `accessToken` is
 *   missing or may not read it.
 * - `bad-checkpoint`: a file is broken or contradicts another.
 * - `wrong-model`: a sound checkpoint of something that Ocelli does not run, a model that cannot do what is asked of it, or what another
 *   model than this one made.
 * - `bad-image`: the image cannot be decoded or read.
 * - `bad-input`: an argument makes no sense.
 * - `context-full`: a prompt is longer than the model has room for.
 * - `aborted`: the signal said so.
 * - `no-worker`: the browser starts no worker here, or cannot load worker.js.
 * - `device-lost`: the GPU went away, and again while the call was made once more.
 * - `worker-lost`: the worker that the model ran in ended, mostly because its memory was full. The next call has a new one.
 * - `gpu`: the GPU refused, mostly because its memory is full.
 * - `not-finite`: the model gave NaN or infinity; its weights are too large, or this GPU computes wrongly.
 * - `storage`: the browser's storage is full or forbidden.
 * - `disposed`: the model was disposed of.
 * - `internal`: a bug in Ocelli: please report it. The next call has a new engine.
 */
export type ErrorCode =
  | "no-webgpu"
  | "insecure-context"
  | "not-found"
  | "gated"
  | "bad-checkpoint"
  | "wrong-model"
  | "bad-image"
  | "bad-input"
  | "context-full"
  | "aborted"
  | "no-worker"
  | "device-lost"
  | "worker-lost"
  | "gpu"
  | "not-finite"
  | "storage"
  | "disposed"
  | "internal";

/** Every error that Ocelli throws. `message` is a sentence that says what to do. */
export class OcelliError extends Error {
  /** Always `"OcelliError"`. */
  override readonly name = "OcelliError";
  constructor(
    /** What went wrong, for programs: it stays the same when words change. */
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Whatever was thrown, as an {@link OcelliError}. */
export function wrap(error: unknown): OcelliError {
  if (error instanceof OcelliError) return error;
  const message = error instanceof Error ? error.message : String(error);
  // Rust sets `code` to one of ours; a DOMException's code is a number.
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === "string") return new OcelliError(code as ErrorCode, message, { cause: error });
  if (error instanceof Error && error.name === "AbortError") return aborted(error);
  return new OcelliError("internal", `Ocelli failed unexpectedly (${message}): load the model again.`, {
    cause: error,
  });
}

export function disposed(): OcelliError {
  return new OcelliError("disposed", "This model was disposed of: load it again.");
}

export function labelsDisposed(): OcelliError {
  return new OcelliError("disposed", "These labels were disposed of: make them again.");
}

export function aborted(cause: unknown, what = "load"): OcelliError {
  return new OcelliError("aborted", `The ${what} was aborted.`, { cause });
}

/** What the caller's own code threw: no bug of ours. */
export function callersError(what: string, cause: unknown): OcelliError {
  return cause instanceof OcelliError ? cause : new OcelliError("bad-input", `${what}: ${String(cause)}`, { cause });
}
