// What boxes and masks share: the canvas, the image on it, and colours.
import { OcelliError } from "../error.js";

/** Where to draw: its 2D context is taken. */
export type DrawCanvas = HTMLCanvasElement | OffscreenCanvas;

/** An image that has been decoded. Of a file, `await createImageBitmap(file)`, which also turns photos upright. */
export type DrawPicture =
  HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | ImageBitmap | VideoFrame | ImageData;

export type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** How large an image is, in its pixels. */
export interface DrawnSize {
  /** Pixels in a row. */
  width: number;
  /** Rows. */
  height: number;
}

/** Colours that colour-blind people tell apart, too: M. Okabe and K. Ito, "Color Universal Design"; as in `ocelli detect --draw`. */
const COLORS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"];
/** Degrees: hues in steps of the golden angle stay apart, however many there are. */
const GOLDEN = 137.508;

/** The colour of the label with this index, for a legend of your own. */
export function labelColor(index: number): string {
  return COLORS[index] ?? `hsl(${((index * GOLDEN) % 360).toFixed(1)} 70% 65%)`;
}

export function contextOf(canvas: DrawCanvas): Context {
  const context = canvas.getContext("2d") as Context | null;
  if (!context)
    throw new OcelliError(
      "bad-input",
      "canvas: expected one with a 2D context, found one of another kind: use a new one.",
    );
  return context;
}

export function offscreen({ width, height }: DrawnSize): [OffscreenCanvas, OffscreenCanvasRenderingContext2D] {
  const canvas = new OffscreenCanvas(width, height);
  return [canvas, contextOf(canvas) as OffscreenCanvasRenderingContext2D];
}

/** Width and height of the upright image in pixels, whatever its box on the page is. */
export function sizeOf(picture: DrawPicture): DrawnSize {
  const { naturalWidth, naturalHeight, videoWidth, videoHeight, displayWidth, displayHeight, width, height } =
    picture as unknown as Record<string, unknown>;
  const size = {
    width: naturalWidth ?? videoWidth ?? displayWidth ?? width,
    height: naturalHeight ?? videoHeight ?? displayHeight ?? height,
  };
  if (typeof size.width !== "number" || typeof size.height !== "number")
    throw new OcelliError(
      "bad-input",
      `picture: expected an image, video, canvas, bitmap, frame or ImageData, found ${Object.prototype.toString.call(picture)}: ` +
        "of a file, pass `await createImageBitmap(file)`; to draw on what the canvas shows, pass null.",
    );
  if (!(size.width > 0 && size.height > 0))
    throw new OcelliError("bad-image", "picture: it has no pixels: wait until it has loaded, and do not close it.");
  return size as DrawnSize;
}

/** Makes the canvas as large as the image and shows it there. */
export function show(context: Context, picture: DrawPicture): DrawnSize {
  const size = sizeOf(picture);
  if (picture === context.canvas) return size;
  let source: Exclude<DrawPicture, ImageData>;
  if ("data" in picture) {
    const [copy, on] = offscreen(size);
    on.putImageData(picture, 0, 0);
    source = copy;
  } else source = picture;
  // This also empties it.
  Object.assign(context.canvas, size);
  context.drawImage(source, 0, 0, size.width, size.height);
  return size;
}
