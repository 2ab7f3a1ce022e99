// What detectors find, beside what the reference finds.
import type { Found } from "./engine.ts";

/** For each label the box with the highest score. */
export function bestOf(labels: string[], all: (Found & { label: string })[]): Found[] {
  const best = new Map<string, Found>();
  for (const { label, score, box } of all) if (score > (best.get(label)?.score ?? -1)) best.set(label, { score, box });
  return labels.map((label) => best.get(label) ?? { score: NaN, box: [NaN, NaN, NaN, NaN] });
}

/** How far an engine's boxes are from the reference's for the same labels, in words. */
export function besideReference(found: Found[], reference: Found[]): string {
  const pairs = found.map((one, i) => [one, reference[i] as Found] as const);
  const iou = pairs.reduce((sum, [a, b]) => sum + overlap(a.box, b.box), 0) / pairs.length;
  const score = Math.max(...pairs.map(([a, b]) => Math.abs(a.score - b.score)));
  const edge = Math.max(...pairs.flatMap(([a, b]) => a.box.map((x, i) => Math.abs(x - (b.box[i] as number)))));
  return (
    `the best boxes of ${found.length} labels beside Python's: IoU ${iou.toFixed(4)} in the mean, ` +
    `edges off by at most ${edge.toPrecision(2)} of the picture's sides, scores by ${score.toPrecision(2)}`
  );
}

/** Intersection over union. */
function overlap([left, top, right, bottom]: Found["box"], other: Found["box"]): number {
  const width = Math.min(right, other[2]) - Math.max(left, other[0]);
  const height = Math.min(bottom, other[3]) - Math.max(top, other[1]);
  const both = Math.max(0, width) * Math.max(0, height);
  return both / ((right - left) * (bottom - top) + (other[2] - other[0]) * (other[3] - other[1]) - both);
}
