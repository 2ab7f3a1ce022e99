// Boxes with their labels.
import { OcelliError } from "../error.js";
import {
  contextOf,
  labelColor,
  show,
  type Context,
  type DrawCanvas,
  type DrawnSize,
  type DrawPicture,
} from "./canvas.js";

/** An upright rectangle: in pixels of the upright image, or in shares of its sides. */
export interface DrawnRect {
  /** Left edge. */
  x: number;
  /** Upper edge; y grows downwards. */
  y: number;
  /** From the left edge to the right one. */
  width: number;
  /** From the upper edge to the lower one. */
  height: number;
}

/** What a detector finds, or anything of this shape. */
export interface DrawnBox {
  /** What it is. */
  label?: string;
  /** The label's place among those asked: it has the colour. */
  index?: number;
  /** 0 to 1. */
  score?: number;
  /** Where it is. */
  box: DrawnRect;
}

/** How {@link drawBoxes} draws. */
export interface BoxOptions {
  /** Boxes are shares of the image's sides, 0 to 1, as `detect` gives them with the same option. */
  normalized?: boolean;
  /** Without an image: the size in whose pixels boxes are. If it is left out, the canvas' own. */
  size?: DrawnSize;
  /** What is written next to a box; "" for nothing. By default label and score: `a cat 93%`. */
  text?: (found: DrawnBox) => string;
  /** By default {@link labelColor} of the label's index. */
  color?: (found: DrawnBox) => string;
  /** In the canvas' pixels. By default it grows with the canvas. */
  lineWidth?: number;
  /** In the canvas' pixels. By default it grows with the canvas. */
  fontSize?: number;
}

/** Where and how a box is drawn, in the canvas' pixels. */
interface Placed extends DrawnRect {
  color: string;
  text: string;
}

interface Look {
  line: number;
  font: number;
}

/**
 * Draws boxes, the first ones on top. With an image, the canvas becomes as large as it and shows it first; style sheets say how large
 * the canvas is shown. Without one (null), boxes go on what the canvas shows, such as nothing over a video: whoever draws again and
 * again empties it in between.
 *
 * Lines lie inside the boxes. Labels are above them, or where there is room; they do not leave the canvas. Boxes
 * outside of it are left out.
 *
 * Throws an {@link OcelliError}: `bad-image` for an image without pixels, `bad-input` for what is no image or no box.
 */
export function drawBoxes(
  canvas: DrawCanvas,
  picture: DrawPicture | null | undefined,
  found: readonly DrawnBox[],
  options: BoxOptions = {},
): void {
  const context = contextOf(canvas);
  for (const { box } of found) check(box);
  const size = picture ? show(context, picture) : (options.size ?? canvas);
  const unit = Math.sqrt(canvas.width * canvas.height) / 400;
  const look = {
    line: options.lineWidth ?? Math.max(2, Math.round(2 * unit)),
    font: options.fontSize ?? Math.max(11, Math.round(9 * unit)),
  };
  const whole = options.normalized ? { width: 1, height: 1 } : size;
  const placed = found.map((one) => place(one, options, canvas, whole)).filter((one) => shows(one, canvas));
  placed.reverse();
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  // Labels after all lines, which would cross them.
  for (const one of placed) frame(context, one, look);
  for (const one of placed) if (one.text) tag(context, one, look);
  context.restore();
}

function check(box: DrawnRect | undefined) {
  if (!box || ![box.x, box.y, box.width, box.height].every(Number.isFinite))
    throw new OcelliError(
      "bad-input",
      `box: expected finite x, y, width and height, found ${JSON.stringify(box)}: pass what \`detect\` gives.`,
    );
}

function place(found: DrawnBox, options: BoxOptions, canvas: DrawnSize, { width, height }: DrawnSize): Placed {
  const [across, down] = [canvas.width / width, canvas.height / height];
  const { box } = found;
  return {
    x: box.x * across,
    y: box.y * down,
    width: box.width * across,
    height: box.height * down,
    color: options.color?.(found) ?? labelColor(found.index ?? 0),
    text: options.text?.(found) ?? caption(found),
  };
}

/** OWLv2 also finds things in what its square is padded with. */
function shows({ x, y, width, height }: Placed, canvas: DrawnSize): boolean {
  return width > 0 && height > 0 && x < canvas.width && y < canvas.height && x + width > 0 && y + height > 0;
}

function caption({ label, score }: DrawnBox): string {
  return [label, score === undefined ? undefined : `${Math.round(100 * score)}%`].filter(Boolean).join(" ");
}

/** A coloured line, and a dark one inside of it: one of them shows on any ground. */
function frame(context: Context, { x, y, width, height, color }: Placed, { line }: Look) {
  for (const [style, inset, thick] of [
    ["#000a", line, Math.max(1, line / 2)],
    [color, 0, line],
  ] as const) {
    const by = inset + thick / 2;
    context.strokeStyle = style;
    context.lineWidth = thick;
    if (width > 2 * by && height > 2 * by) context.strokeRect(x + by, y + by, width - 2 * by, height - 2 * by);
    else if (inset === 0) fill(context, color, x, y, width, height);
  }
}

function fill(context: Context, style: string, x: number, y: number, width: number, height: number) {
  context.fillStyle = style;
  context.fillRect(x, y, width, height);
}

/** The label in white on black, beside its colour: above the box if there is room, else inside at its top; never beyond the canvas. */
function tag(context: Context, { x, y, color, text }: Placed, { font }: Look) {
  const { width, height } = context.canvas;
  const letter = Math.min(font, height / 1.4);
  const pad = letter / 3;
  context.font = `600 ${letter}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const across = Math.min(width, context.measureText(text).width + 3 * pad);
  const down = 1.4 * letter;
  const left = within(x, width - across);
  const top = within(y >= down ? y - down : y, height - down);
  fill(context, "#000c", left, top, across, down);
  fill(context, color, left, top, pad, down);
  context.fillStyle = "#fff";
  context.fillText(text, left + 2 * pad, top + down / 2, Math.max(1, across - 3 * pad));
}

function within(at: number, most: number): number {
  return Math.max(0, Math.min(at, most));
}
