import { submitted } from "../gpu.js";
import type { Running, Shown } from "../running.js";
import type { Tiles } from "../../wasm/ocelli_vlm.js";

/** An image of a prompt, on its way through the tower square by square. */
export interface Cut {
  readonly pixels: ImageData;
  readonly view: View;
  /** The first row of its tokens, among those of all images of the prompt. */
  readonly first: number;
  /** What each of its parts is known by. */
  readonly keys: readonly string[];
  /** Tokens of each part. */
  readonly each: number;
  /** The squares, once they are needed. */
  tiles?: Tiles;
}

/** It is seen once, as a whole; it is one of several of a prompt. */
interface View {
  low: boolean;
  several: boolean;
}

/** The images of a prompt, and the rows, columns and tokens of each, one after the other. */
export function cutsOf(running: Running, pictures: ImageData[], low: boolean): [Cut[], Uint32Array] {
  const layouts: number[] = [];
  const view = { low, several: pictures.length > 1 };
  let first = 0;
  const cuts = pictures.map((pixels): Cut => {
    const layout = running.engine.layout(pixels.width, pixels.height, view.low, view.several);
    layouts.push(...layout);
    const [rows, columns, tokens] = layout as unknown as [number, number, number];
    // The tiles, and the whole image; or all together.
    const parts = running.engine.keepsSquares() ? rows * columns + 1 : 1;
    const name = `${pixels.width} ${pixels.height} ${rows} ${columns} ${tokens} ${hashOf(pixels)}`;
    const keys = Array.from({ length: parts }, (_, part) => `${name} ${part}`);
    const cut = { pixels, view, first, keys, each: tokens / parts };
    first += tokens;
    return cut;
  });
  return [cuts, Uint32Array.from(layouts)];
}

/** Whether the engine has all of an image's tokens. */
export function isThere(running: Running, cut: Cut): boolean {
  return missing(running, cut) === undefined;
}

/** Runs the next square that the engine lacks through the tower. */
export async function putSquare(running: Running, cut: Cut): Promise<void> {
  const shown = missing(running, cut);
  if (!shown) return;
  const { pixels, view, keys, first } = cut;
  const tiles = (cut.tiles ??= running.engine.tiles(pixels, view.low, view.several));
  running.shown = running.shown.filter((other) => other.end <= shown.first || shown.end <= other.first);
  await submitted(running.device, () => running.engine.putSquare(tiles, keys.indexOf(shown.key), first));
  if (await running.borrow((engine) => engine.keepSquare(tiles, first))) running.shown.push(shown);
}

/** The first part of an image that the engine lacks. */
function missing({ shown }: Running, { keys, first, each }: Cut): Shown | undefined {
  const parts = keys.map((key, part): Shown => ({ key, first: first + part * each, end: first + (part + 1) * each }));
  return parts.find((part) => !shown.some(({ key, first }) => key === part.key && first === part.first));
}

/** Lets go of an image's tiles. */
export function release(running: Running, cut: Cut): void {
  if (cut.tiles) running.drop(cut.tiles);
  delete cut.tiles;
}

/** 64 bits that change with any pixel. */
function hashOf({ data }: ImageData): string {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (const word of words) {
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ (word + (b >>> 15)), 0x85ebca6b);
  }
  return `${a >>> 0}.${b >>> 0}`;
}
