import { OcelliError } from "../error.js";
import type { MaskData } from "./plain.js";
import { outlines, type Point } from "./outline.js";
import type { Box } from "./types.js";

/** Run lengths as COCO has them. */
export interface Rle {
  /** Height and width, in COCO's order. */
  size: [height: number, width: number];
  /** Lengths of runs, down one column after the other: outside, inside, outside, …; the first one may be 0. */
  counts: number[];
}

/** Red, green, blue, and how opaque it is, each from 0 to 255; or `"#rrggbb"` or `"#rrggbbaa"`. */
export type Color = readonly [red: number, green: number, blue: number, alpha?: number] | string;

/** Which pixels of an image belong to a thing. */
export class Mask {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1 for each pixel that belongs to it, 0 for others: row by row, `[height, width]`. */
  readonly bits: Uint8Array;
  /** How many belong to it. */
  readonly area: number;
  /** The smallest box around them, in pixels of the mask; null if there are none. */
  readonly box: Box | null;
  /**
   * What the model says of each pixel in its own resolution, before the sigmoid: a square of {@link Mask.side}², row by row. For heat
   * maps, and thresholds of your own.
   */
  readonly logits: Float32Array;
  /** Side of the square that the model sees, in pixels. */
  readonly side: number;
  readonly #counts: Uint32Array;

  /** @internal */
  constructor(
    data: MaskData,
    /** The prompt; empty for an image. */
    readonly label: string,
    /** Place of the prompt among those given. */
    readonly index: number,
    /** Whether the prompt, in any of its templates, is longer than the model takes, so that its end is left out. */
    readonly cut: boolean,
  ) {
    const [width, height, bits, counts, area, edges, logits] = data;
    [this.width, this.height, this.bits, this.area, this.logits] = [width, height, bits, area, logits];
    this.#counts = counts;
    this.side = Math.sqrt(logits.length);
    const [left, top, right, bottom] = edges as unknown as [number, number, number, number];
    this.box = edges.length === 0 ? null : { x: left, y: top, width: right - left, height: bottom - top };
  }

  /**
   * Its pixels in a colour, all others transparent: to be drawn over the image.
   *
   * ```ts
   * const image = mask.toImageData({ color: "#ff404080" });
   * context.drawImage(await createImageBitmap(image), 0, 0);
   * ```
   *
   * @param options `color`: default `[255, 64, 64, 128]`.
   */
  toImageData({ color = [255, 64, 64, 128] }: { color?: Color } = {}): ImageData {
    const image = new ImageData(this.width, this.height);
    const pixels = new Uint32Array(image.data.buffer);
    const pixel = new Uint32Array(Uint8Array.from(parts(color)).buffer)[0] as number;
    this.bits.forEach((bit, at) => {
      if (bit) pixels[at] = pixel;
    });
    return image;
  }

  /** Its run lengths, as COCO's tools read them. */
  toRLE(): Rle {
    return { size: [this.height, this.width], counts: Array.from(this.#counts) };
  }

  /**
   * Its outlines, through the corners of pixels: clockwise on the screen around what is inside, the other way round around holes. Fill
   * them by the even-odd rule.
   *
   * @param tolerance Points are left out as long as the outline moves by at most so many pixels. Default 0: it does not move.
   */
  toPolygons(tolerance = 0): Point[][] {
    if (!(tolerance >= 0))
      throw new OcelliError("bad-input", `tolerance: expected 0 pixels or more, found ${String(tolerance)}.`);
    return outlines(this, tolerance);
  }
}

function parts(color: Color): number[] {
  const hex = typeof color === "string" ? /^#([0-9a-f]{6})([0-9a-f]{2})?$/i.exec(color) : undefined;
  const given = hex
    ? (hex[0].slice(1).match(/../g) as string[]).map((two) => parseInt(two, 16))
    : Array.isArray(color)
      ? (color as number[])
      : [];
  const all = given.length === 3 ? [...given, 255] : given;
  if (all.length !== 4 || !all.every((part) => part >= 0 && part <= 255))
    throw new OcelliError(
      "bad-input",
      `color: expected 3 or 4 numbers from 0 to 255, or "#rrggbb" or "#rrggbbaa", found ${JSON.stringify(color)}.`,
    );
  return all;
}
