import { OcelliError } from "../error.js";
import type { Backend, ImageInput } from "../types.js";
import { formatOf } from "./formats.js";
import { bad, headOf, type ReadyPicture } from "./ready.js";
import { browserTurns, turned, webpOrientation } from "./webp.js";

/** Options that keep the file's own pixels: turned as EXIF says, colours untouched, alpha not multiplied in. */
const EXACT: ImageBitmapOptions = {
  imageOrientation: "from-image",
  colorSpaceConversion: "none",
  premultiplyAlpha: "none",
};

/** An image that the wasm side can read, and how to let go of it. */
export interface DecodedPicture {
  pixels: ImageBitmap | ImageData;
  release(): void;
}

/** Most pixels that go up in one copy, rows padded to {@link PITCH}. */
const STRIP = 4 << 20;
/** Pixels of which rows are multiples. */
const PITCH = 64;

/**
 * A video's frame that can be copied to the GPU as it is, without a bitmap in between; undefined for all else. Not every browser
 * does such copies (Firefox 153 does not, nor Chromium 156 without a GPU), so whoever tries has {@link open} to fall back on.
 */
export function live(image: ImageInput): HTMLVideoElement | VideoFrame | undefined {
  if (typeof VideoFrame !== "undefined" && image instanceof VideoFrame) {
    // Frames of RGB are exact as bitmaps; those of YUV are converted either way.
    return image.format?.startsWith("RGB") || image.format?.startsWith("BGR")
      ? undefined
      : small(image, image.displayWidth, image.displayHeight);
  }
  if (typeof HTMLVideoElement !== "undefined" && image instanceof HTMLVideoElement) {
    return small(image, image.videoWidth, image.videoHeight);
  }
  return undefined;
}

/** Between two copies a video would go on, so that a larger one has to be held still. */
function small<T>(image: T, width: number, height: number): T | undefined {
  const pixels = Math.ceil(width / PITCH) * PITCH * height;
  return pixels > 0 && pixels <= STRIP ? image : undefined;
}

/** Decoding is the browser's; everything becomes an `ImageData` or an `ImageBitmap`, on the CPU always the former. */
export async function open(image: ReadyPicture, backend: Backend): Promise<DecodedPicture> {
  const source = await decoded(image);
  if (backend === "webgpu" || source.pixels instanceof ImageData) return source;
  try {
    return { pixels: read(source.pixels), release() {} };
  } catch (cause) {
    throw bad(cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    source.release();
  }
}

/** A bitmap's pixels. */
function read(bitmap: ImageBitmap): ImageData {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas can be had");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  // A canvas multiplies alpha in and divides it out again, which loses what is transparent. WebGL does not, where there is any.
  const opaque = new Uint32Array(pixels.data.buffer).every((pixel) => pixel >>> 24 === 255);
  if (!opaque) readUnmultiplied(bitmap, pixels.data);
  return pixels;
}

function readUnmultiplied(bitmap: ImageBitmap, into: Uint8ClampedArray): void {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl || Math.max(width, height) > (gl.getParameter(gl.MAX_TEXTURE_SIZE) as number)) return;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER,
    gl.COLOR_ATTACHMENT0,
    gl.TEXTURE_2D,
    gl.getParameter(gl.TEXTURE_BINDING_2D) as WebGLTexture,
    0,
  );
  const bytes = new Uint8Array(into.length);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  if (gl.getError() === gl.NO_ERROR) into.set(bytes);
  // Browsers keep few contexts.
  gl.getExtension("WEBGL_lose_context")?.loseContext();
}

/** As {@link open} for the GPU. */
export async function decoded(image: ReadyPicture): Promise<DecodedPicture> {
  if (typeof ImageData !== "undefined" && image instanceof ImageData) {
    if (image.data.length === 0) throw bad("the pixels of the ImageData were transferred to somewhere else");
    return { pixels: image, release() {} };
  }
  if (typeof ImageBitmap !== "undefined" && image instanceof ImageBitmap) {
    if (image.width === 0) throw bad("the ImageBitmap has been closed");
    // The caller's own, and not to be closed.
    return { pixels: image, release() {} };
  }
  if (typeof image !== "object" || image === null) {
    throw new OcelliError(
      "bad-input",
      `image: expected a Blob, a Response, a URL, a file's bytes, or an image, canvas or video element, found ${typeof image}.`,
    );
  }
  try {
    const orientation = image instanceof Blob ? await webpOrientation(image) : 1;
    const upright = orientation === 1 || (await browserTurns());
    const bitmap = await createImageBitmap(image, EXACT);
    const pixels = upright ? bitmap : turned(bitmap, orientation);
    return { pixels, release: () => pixels.close() };
  } catch (cause) {
    const format = image instanceof Blob ? formatOf(await headOf(image)) : undefined;
    if (format) throw bad(`this browser cannot decode ${format}: convert it to JPEG or PNG`, cause);
    throw bad(cause instanceof Error ? cause.message : String(cause), cause);
  }
}
