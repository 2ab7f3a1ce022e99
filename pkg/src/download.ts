import { aborted, OcelliError } from "./error.js";

/** A file by its name in the folder. */
export interface File {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** What the engine knows of the files of a model folder. */
export interface Layout {
  /** The JSON files. */
  json: string[];
  /** The tensor file. */
  weights: string;
  /** Names the tensor files where there are several. */
  index: string;
  shards(index: Uint8Array): string[];
}

/** Fetches a model folder, side by side. `onBytes` hears of bytes so far and in total, 0 if unknown. */
export async function download(
  folder: URL,
  layout: Layout,
  signal: AbortSignal | undefined,
  onBytes: (loaded: number, total: number) => void,
): Promise<{ json: File[]; weights: File[] }> {
  const sizes = new Map<string, number | undefined>();
  let loaded = 0;
  const report = (bytes: number) => {
    loaded += bytes;
    const total = [...sizes.values()].reduce<number>((sum, size) => sum + (size ?? NaN), 0);
    onBytes(loaded, Number.isNaN(total) ? 0 : Math.max(total, loaded));
  };
  // One failure stops the others.
  const stop = new AbortController();
  const relay = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", relay);
  if (signal?.aborted) relay();

  const file = async (name: string): Promise<File> => {
    sizes.set(name, undefined);
    const response = await get(new URL(name, folder), stop.signal).catch((error: unknown) => {
      sizes.delete(name);
      throw error;
    });
    sizes.set(name, plainLength(response));
    const bytes = await read(response, sizes.get(name), report);
    sizes.set(name, bytes.byteLength);
    return { name, bytes };
  };
  const tensors = async (): Promise<File[]> => {
    try {
      return [await file(layout.weights)];
    } catch (missing) {
      if (!(missing instanceof Missing)) throw missing;
      const index = await file(layout.index).catch((error: unknown) => {
        throw error instanceof Missing ? missing : error; // of two missing files the one that people know
      });
      return Promise.all(layout.shards(index.bytes).map(file));
    }
  };
  try {
    const [json, weights] = await Promise.all([Promise.all(layout.json.map(file)), tensors()]);
    // Now every length is known, of compressed files too.
    report(0);
    return { json, weights };
  } catch (error) {
    stop.abort();
    if (signal?.aborted) throw aborted(error);
    // The engine's own errors have a code that is a word; a DOMException's is a number.
    if (typeof (error as { code?: unknown } | null)?.code === "string") throw error;
    throw new OcelliError("not-found", `${folder}: the download broke off: ${String(error)}. Try again.`, { cause: error });
  } finally {
    signal?.removeEventListener("abort", relay);
  }
}

/** A file that a folder may lack. */
export async function optional(url: URL): Promise<Uint8Array | undefined> {
  try {
    const response = await get(url, new AbortController().signal);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (error instanceof Missing) return undefined;
    throw error;
  }
}

/** The server answered, and has no such file. */
class Missing extends OcelliError {}

async function get(url: URL, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new OcelliError(
      "not-found",
      `${url}: cannot be fetched: the address is wrong, the network is down, or its server does not allow this page (CORS).`,
      { cause },
    );
  }
  // Servers of single-page apps answer with their page where a file is missing.
  const html = response.headers.get("content-type")?.startsWith("text/html");
  if (!response.ok || html) {
    const found = response.ok ? "a web page" : `HTTP ${response.status}`;
    throw new Missing(
      "not-found",
      `${url}: expected a file of a model folder, found ${found}. The folder must hold config.json, preprocessor_config.json, tokenizer_config.json, tokenizer.json, and model.safetensors or its shards.`,
    );
  }
  return response;
}

/** Length of the body in bytes, if it is not compressed on its way. */
function plainLength(response: Response): number | undefined {
  const length = Number(response.headers.get("content-length") ?? NaN);
  return response.headers.has("content-encoding") || Number.isNaN(length) ? undefined : length;
}

async function read(
  response: Response,
  size: number | undefined,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  // Straight into place if the length is known: a large file must not be in memory twice.
  let target = new Uint8Array(size ?? 1 << 20);
  let length = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (length + value.byteLength > target.byteLength) {
      const larger = new Uint8Array(Math.max(target.byteLength * 2, length + value.byteLength));
      larger.set(target.subarray(0, length));
      target = larger;
    }
    target.set(value, length);
    length += value.byteLength;
    onBytes(value.byteLength);
  }
  return length === target.byteLength ? target : target.slice(0, length);
}
