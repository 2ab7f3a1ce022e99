import { aborted, OcelliError } from "../error.js";
import type { ImageInput } from "../types.js";
import { HEAD, isSvg } from "./formats.js";

/** An image that is all here, and that the browser decodes without waiting for anybody. */
export type ReadyPicture = Exclude<ImageInput, Response | URL | ArrayBuffer | Uint8Array>;

/**
 * Waits for whatever of an image is still elsewhere: an answer's body, an address, an image element that has not loaded. This is no
 * part of decoding, which goes in turns, so an image that never arrives holds up its own call alone. A signal that fires ends what is
 * fetched here; what the caller fetches is the caller's to end.
 */
export async function ready(image: ImageInput, signal?: AbortSignal): Promise<ReadyPicture> {
  const isA = <T>(name: string) => name in globalThis && image instanceof (globalThis[name as never] as new () => T);
  if (image instanceof URL) return ready(await fetched(image, signal));
  if (image instanceof Response) return ready(await body(image));
  if (image instanceof ArrayBuffer || image instanceof Uint8Array) return ready(new Blob([image as BlobPart]));
  if (image instanceof Blob) return isSvg(await headOf(image)) ? drawing(image) : image;
  if (isA("HTMLImageElement")) return loaded(image as HTMLImageElement);
  return image;
}

/** The bytes that tell a file's format. */
export async function headOf(file: Blob): Promise<Uint8Array> {
  return new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
}

async function fetched(url: URL, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetch(url, { signal: signal ?? null });
  } catch (cause) {
    if (signal?.aborted) throw aborted(signal.reason, "call");
    const why = "the address is wrong, the network is down, or its server does not allow this page (CORS)";
    throw new OcelliError("not-found", `${url.href}: the image cannot be fetched: ${why}.`, { cause });
  }
}

/** Bodies can be read once, and calls may be made again. */
const bodies = new WeakMap<Response, Promise<Blob>>();

function body(response: Response): Promise<Blob> {
  const known = bodies.get(response);
  if (known) return known;
  const read = (async () => {
    const name = response.url || "response";
    if (!response.ok) {
      throw new OcelliError("not-found", `${name}: expected an image, found HTTP ${response.status}.`);
    }
    if (response.bodyUsed) {
      throw new OcelliError("bad-input", `${name}: expected a body that nobody has read, found one that was.`);
    }
    return response.blob().catch((cause: unknown) => {
      throw new OcelliError("not-found", `${name}: the image broke off: ${String(cause)}`, { cause });
    });
  })();
  bodies.set(response, read);
  return read;
}

/** An SVG file, which only image elements decode. */
async function drawing(file: Blob): Promise<HTMLImageElement> {
  if (typeof Image === "undefined") {
    throw bad("only a page can draw an SVG file, not a worker: pass it from the page, or as an ImageBitmap");
  }
  // Without the type an image element refuses it.
  const url = URL.createObjectURL(new Blob([file], { type: "image/svg+xml" }));
  try {
    const element = new Image();
    element.src = url;
    await element.decode().catch((cause: unknown) => {
      throw bad("the SVG file is broken, or has no size: give it a width and a height", cause);
    });
    return element;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** The element itself, once it has loaded; of one that waits until somebody looks at it, a copy that does not wait. */
async function loaded(image: HTMLImageElement): Promise<HTMLImageElement> {
  const element = !image.complete && image.loading === "lazy" ? eager(image) : image;
  // Rejects for a broken image, and waits for one that is still loading.
  await element.decode().catch((cause: unknown) => {
    throw bad("the image element has no image", cause);
  });
  return element;
}

function eager(image: HTMLImageElement): HTMLImageElement {
  // A `picture` has the sources.
  const { parentElement: parent } = image;
  const copy =
    parent instanceof HTMLPictureElement
      ? (parent.cloneNode(true) as HTMLPictureElement).querySelector("img")
      : (image.cloneNode() as HTMLImageElement);
  if (!copy) throw bad("the image element has no image");
  copy.loading = "eager";
  return copy;
}

/** What is wrong with an image. */
export function bad(why: string, cause?: unknown): OcelliError {
  return new OcelliError("bad-image", `The image cannot be read: ${why}`, { cause });
}
