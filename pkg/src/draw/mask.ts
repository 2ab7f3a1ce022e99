// Masks.
import { OcelliError } from "../error.js";
import { contextOf, labelColor, offscreen, show, type DrawCanvas, type DrawPicture } from "./canvas.js";

/** What a segmenter finds, or anything of this shape. */
export interface DrawnMask {
  /** Pixels in a row. */
  width: number;
  /** Rows. */
  height: number;
  /** One value a pixel, row by row; neither 0 nor false where the thing is. */
  bits: ArrayLike<number | boolean>;
  /** The label's place among those asked: it has the colour. */
  index?: number;
}

/** How {@link drawMask} draws. */
export interface MaskOptions {
  /** Any CSS colour. By default {@link labelColor} of the label's index. */
  color?: string;
  /** 0 to 1; 0.5 by default. */
  opacity?: number;
  /** Makes the canvas as large as this image and shows it first. Otherwise the mask goes on what the canvas shows. */
  picture?: DrawPicture;
}

/**
 * Tints the pixels of a mask. The mask covers the whole canvas, whatever the size of either.
 *
 * Throws an {@link OcelliError}: `bad-image` for an image without pixels, `bad-input` for what is no image or no mask.
 */
export function drawMask(canvas: DrawCanvas, mask: DrawnMask, options: MaskOptions = {}): void {
  const context = contextOf(canvas);
  const { width, height, bits } = mask;
  if (!(width > 0 && height > 0) || bits.length !== width * height)
    throw new OcelliError(
      "bad-input",
      `mask: expected width · height = ${width * height} bits, and more than 0, found ${bits.length}: pass what \`segment\` gives.`,
    );
  if (options.picture) show(context, options.picture);
  const [shape, on] = offscreen(mask);
  const pixels = on.createImageData(width, height);
  for (let i = 0; i < bits.length; i++) if (bits[i]) pixels.data[4 * i + 3] = 255;
  on.putImageData(pixels, 0, 0);
  on.globalCompositeOperation = "source-in";
  on.fillStyle = options.color ?? labelColor(mask.index ?? 0);
  on.fillRect(0, 0, width, height);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalAlpha = options.opacity ?? 0.5;
  context.drawImage(shape, 0, 0, canvas.width, canvas.height);
  context.restore();
}
