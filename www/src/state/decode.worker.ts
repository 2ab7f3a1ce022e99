/** Decodes pictures away from the page, a few at a time, and draws their previews. */
import { HEAD, takenAt } from "./exif.ts";
import { maybeTurnedWebp, profileOf } from "./profile.ts";
import { shrunk, smaller } from "./shrink.ts";

/** What a picture file gives. */
export interface Decoded {
  preview: Blob;
  width: number;
  height: number;
  /** In milliseconds since 1970, where the file says it. */
  taken: number | undefined;
  /** Its pixels as they are in the file, which the package takes for the file itself; undefined where they were not asked for. */
  pixels: ImageBitmap | undefined;
}

/** Small enough to keep thousands of them, large enough for a grid. */
const SIDE = 256;
const SMOOTHING = "medium";
/** A browser that cannot write WebP makes a PNG. */
const ENCODING = { type: "image/webp", quality: 0.8 };

/** What the package decodes with. */
const EXACT: ImageBitmapOptions = {
  imageOrientation: "from-image",
  colorSpaceConversion: "none",
  premultiplyAlpha: "none",
};

/** Decoding takes threads of the browser's, and 50 to 200 MB for each photo; drawing and encoding take this one. */
const { hardwareConcurrency, deviceMemory = 0 } = navigator as Navigator & { deviceMemory?: number };
const AT_A_TIME = hardwareConcurrency >= 8 && deviceMemory >= 8 ? 4 : 2;

const lanes: Promise<unknown>[] = Array.from({ length: AT_A_TIME }, () => Promise.resolve());
let next = 0;

self.onmessage = ({ data: { id, picture, whole } }: MessageEvent<{ id: number; picture: Blob; whole: boolean }>) => {
  const lane = next++ % AT_A_TIME;
  lanes[lane] = (lanes[lane] as Promise<unknown>)
    .then(() => decoded(picture, whole))
    .then(
      (made) => self.postMessage({ id, made }, { transfer: made.pixels ? [made.pixels] : [] }),
      (error: unknown) => self.postMessage({ id, error: String(error) }),
    );
};

async function decoded(picture: Blob, whole: boolean): Promise<Decoded> {
  const head = new Uint8Array(await picture.slice(0, HEAD).arrayBuffer());
  const shared = whole && !maybeTurnedWebp(head);
  const bitmap = await createImageBitmap(picture, shared ? EXACT : {});
  const { width, height } = bitmap;
  const preview = await (shared ? previewOf(bitmap, picture, head) : encoded(smaller(bitmap, SIDE, SMOOTHING)));
  if (!shared) bitmap.close();
  return { preview, width, height, taken: takenAt(head), pixels: shared ? bitmap : undefined };
}

/** A preview of pixels whose colours are those of the file. */
async function previewOf(bitmap: ImageBitmap, picture: Blob, head: Uint8Array): Promise<Blob> {
  const profile = profileOf(head);
  if (profile === "other") return shrunk(picture, SIDE, SMOOTHING, ENCODING);
  const small = smaller(bitmap, SIDE, SMOOTHING);
  return encoded(profile === "srgb" ? small : inP3(small));
}

/** The same numbers, said to be of Display P3. */
function inP3(small: OffscreenCanvas): OffscreenCanvas {
  const { width, height } = small;
  const { data } = (small.getContext("2d") as OffscreenCanvasRenderingContext2D).getImageData(0, 0, width, height);
  const canvas = new OffscreenCanvas(width, height);
  const space = { colorSpace: "display-p3" } as const;
  canvas.getContext("2d", space)?.putImageData(new ImageData(data, width, height, space), 0, 0);
  return canvas;
}

function encoded(canvas: OffscreenCanvas): Promise<Blob> {
  return canvas.convertToBlob(ENCODING);
}
