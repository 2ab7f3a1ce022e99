import { submitted } from "../gpu.js";
import type { Running } from "../running.js";
import type { Tiles } from "../../wasm/ocelli_vlm.js";

/** A picture of a prompt, on its way through the tower tile by tile. */
export interface Cut {
  readonly pixels: ImageData;
  /** It is seen once, as a whole. */
  readonly low: boolean;
  /** Number of its first tile in the prompt. */
  readonly first: number;
  /** What each of its tiles is known by. */
  readonly keys: readonly string[];
  /** The tiles, once they are needed. */
  tiles?: Tiles;
}

/** The pictures of a prompt, and the rows, columns and tokens of each, one after the other. */
export function cutsOf(running: Running, pictures: ImageData[], low: boolean): [Cut[], Uint32Array] {
  const layouts: number[] = [];
  let first = 0;
  const cuts = pictures.map((pixels): Cut => {
    const layout = running.engine.layout(pixels.width, pixels.height, low);
    layouts.push(...layout);
    const [rows, columns] = layout as unknown as [number, number];
    // The tiles, and the whole picture.
    const count = rows * columns + 1;
    const name = `${pixels.width} ${pixels.height} ${low} ${hashOf(pixels)}`;
    const cut = { pixels, low, first, keys: Array.from({ length: count }, (_, at) => `${name} ${at}`) };
    first += count;
    return cut;
  });
  return [cuts, Uint32Array.from(layouts)];
}

/** Whether the engine has the tokens of a tile, or of all of a picture's. */
export function isThere({ tiles }: Running, { first, keys }: Cut): boolean {
  return keys.every((key, at) => tiles[first + at] === key);
}

/** Runs the first tile that the engine lacks through the tower. */
export async function putTile(running: Running, cut: Cut): Promise<void> {
  const { first, keys, pixels, low } = cut;
  const at = keys.findIndex((key, at) => running.tiles[first + at] !== key);
  if (at < 0) return;
  const tiles = (cut.tiles ??= running.engine.tiles(pixels, low));
  running.tiles[first + at] = undefined;
  await submitted(running.device, () => running.engine.putTile(tiles, at, first + at));
  running.tiles[first + at] = keys[at];
}

/** Lets go of a picture's tiles. */
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
