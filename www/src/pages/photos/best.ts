import type { PictureRecord } from "../../state/db.ts";

/** The path of the photo with the most pixels; among those, of the largest file, which was compressed least; else the first. */
export function bestOf(photos: readonly PictureRecord[]): string | undefined {
  const pixels = ({ width = 0, height = 0 }: PictureRecord) => width * height;
  const [first, ...others] = photos;
  return others.reduce(
    (best, one) => (best && (pixels(one) - pixels(best) || one.size - best.size) > 0 ? one : best),
    first,
  )?.path;
}
