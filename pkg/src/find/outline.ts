/** Masks as polygons: `src/found/outline.rs` once more, because masks outlive the engine that made them. */

/** x and y in pixels. */
export type Point = [x: number, y: number];

interface Bits {
  width: number;
  height: number;
  bits: Uint8Array;
}

/** Right, down, left, up. */
const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/** From a corner to the pixel ahead on the right hand. */
const RIGHT = [
  [0, 0],
  [-1, 0],
  [-1, -1],
  [0, -1],
] as const;

/** A mask's rings, the last point of each joined to the first, with as few points as the tolerance allows. */
export function outlines(mask: Bits, tolerance: number): Point[][] {
  const { width, height, bits } = mask;
  const inside = (x: number, y: number) => x >= 0 && y >= 0 && x < width && y < height && bits[y * width + x] === 1;
  // Every ring runs along the upper edge of some pixel.
  const seen = new Uint8Array(bits.length);
  const rings: Point[][] = [];
  for (let at = 0; at < bits.length; at++) {
    const [x, y] = [at % width, Math.floor(at / width)];
    if (bits[at] !== 1 || seen[at] || inside(x, y - 1)) continue;
    const ring = simplified(follow(x, y, width, inside, seen), tolerance);
    if (ring.length > 2) rings.push(ring);
  }
  return rings;
}

/** The ring from a corner on, along the upper edge of the pixel to the right, with what is inside on the right hand. */
function follow(
  startX: number,
  startY: number,
  width: number,
  inside: (x: number, y: number) => boolean,
  seen: Uint8Array,
): Point[] {
  const ring: Point[] = [];
  let [x, y, heading] = [startX, startY, 0];
  const pixel = (heading: number) => {
    const [dx, dy] = RIGHT[heading % 4]!;
    return inside(x + dx, y + dy);
  };
  do {
    ring.push([x, y]);
    // Straight on to the next turn.
    let turn = 0;
    while (turn === 0) {
      if (heading === 0) seen[y * width + x] = 1;
      const [dx, dy] = STEPS[heading]!;
      x += dx;
      y += dy;
      // The pixel ahead on the left hand is on the right hand for who turns left.
      turn = !pixel(heading) ? 1 : pixel(heading + 3) ? 3 : 0;
    }
    heading = (heading + turn) % 4;
  } while (x !== startX || y !== startY || heading !== 0);
  return ring;
}

/** A ring with fewer points, none of which was farther than `tolerance` from its line. */
function simplified(ring: Point[], tolerance: number): Point[] {
  if (tolerance <= 0) return ring;
  const [start] = ring as [Point];
  // Two halves between the first point and the one that is farthest from it.
  const middle = farthest(0, ring.length, (at) => Math.hypot(ring[at]![0] - start[0], ring[at]![1] - start[1]));
  const closed = [...ring, start];
  const keep = new Set([0, middle]);
  const spans: [number, number][] = [
    [0, middle],
    [middle, ring.length],
  ];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [first, last] = span;
    if (first + 1 >= last) continue;
    const off = (at: number) => distance(closed[at]!, closed[first]!, closed[last]!);
    const far = farthest(first + 1, last, off);
    if (off(far) <= tolerance) continue;
    keep.add(far);
    spans.push([first, far], [far, last]);
  }
  return ring.filter((_, at) => keep.has(at));
}

/** Where a measure is largest, the last of equal ones. */
function farthest(from: number, to: number, measure: (at: number) => number): number {
  let [best, most] = [from, -Infinity];
  for (let at = from; at < to; at++) {
    const here = measure(at);
    if (here >= most) [best, most] = [at, here];
  }
  return best;
}

/** From a point to the stretch between two others. */
function distance([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const share = length > 0 ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}
