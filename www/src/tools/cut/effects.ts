import type { Mask } from "ocelli/segment";
import { drawMask } from "ocelli/draw";

/** What is done with what was found, in the order of the page. */
export const effects = {
  layers: "Colours",
  cut: "Cut out",
  background: "Background",
  blur: "Blur",
  pixelate: "Pixelate",
} as const;
export type Effect = keyof typeof effects;

/** The part of the longer side that one block of a blurred or pixelated picture covers. */
const BLOCK = 1 / 40;

interface Manner {
  effect: Effect;
  /** Whether it is done to what was not found. */
  inverted: boolean;
  color: string;
}

/** Draws a picture on a canvas of its own size, with the effect. */
export function drawEffect(
  canvas: HTMLCanvasElement,
  picture: ImageBitmap,
  masks: readonly Mask[],
  manner: Manner,
): void {
  const { effect, inverted, color } = manner;
  const { width, height } = picture;
  Object.assign(canvas, { width, height }); // this also empties it
  const context = contextOf(canvas);
  if (effect === "layers") {
    context.drawImage(picture, 0, 0);
    for (const mask of masks) drawMask(canvas, mask, { opacity: 0.6 });
    return;
  }
  if (effect === "cut" || effect === "background") {
    context.drawImage(within(picture, masks, inverted), 0, 0);
    if (effect === "cut") return;
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = color;
    context.fillRect(0, 0, width, height);
    return;
  }
  context.drawImage(picture, 0, 0);
  context.drawImage(within(coarse(picture, effect === "blur"), masks, inverted), 0, 0);
}

/** What lies within the masks; or, inverted, without. */
function within(
  picture: CanvasImageSource & { width: number; height: number },
  masks: readonly Mask[],
  inverted: boolean,
) {
  const shape = blank(picture);
  for (const mask of masks) drawMask(shape, mask, { color: "#000", opacity: 1 });
  const only = blank(picture);
  const context = contextOf(only);
  context.drawImage(picture, 0, 0);
  context.globalCompositeOperation = inverted ? "destination-out" : "destination-in";
  context.drawImage(shape, 0, 0);
  return only;
}

/** A picture of few pixels, as large as before: in blocks, or smooth. What is gone is gone: blocks are means of all that they cover. */
function coarse(picture: ImageBitmap, smooth: boolean): HTMLCanvasElement {
  const { width, height } = picture;
  const block = Math.max(2, Math.max(width, height) * BLOCK);
  let small = blank(picture);
  contextOf(small).drawImage(picture, 0, 0);
  // By halves: browsers look at few pixels when they shrink more at once.
  for (;;) {
    const factor = Math.max(1 / 2, width / block / small.width);
    if (small.width * factor < 1 || small.height * factor < 1 || factor >= 1) break;
    const next = blank({ width: Math.ceil(small.width * factor), height: Math.ceil(small.height * factor) });
    contextOf(next).drawImage(small, 0, 0, next.width, next.height);
    if (next.width === small.width && next.height === small.height) break;
    small = next;
  }
  const large = blank(picture);
  const context = contextOf(large);
  context.imageSmoothingEnabled = smooth;
  context.drawImage(small, 0, 0, width, height);
  return large;
}

function blank({ width, height }: { width: number; height: number }): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: Math.max(1, width), height: Math.max(1, height) });
  return canvas;
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return canvas.getContext("2d") as CanvasRenderingContext2D;
}
