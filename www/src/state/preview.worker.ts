/** Draws previews away from the page, a few at a time, so that few whole pictures are in memory. */
import { shrunk } from "./shrink.ts";

/** Small enough to keep thousands of them, large enough for a grid. */
const SIDE = 256;
const AT_A_TIME = 2;

const lanes: Promise<unknown>[] = Array.from({ length: AT_A_TIME }, () => Promise.resolve());
let next = 0;

self.onmessage = ({ data: { id, picture } }: MessageEvent<{ id: number; picture: Blob }>) => {
  const lane = next++ % AT_A_TIME;
  lanes[lane] = (lanes[lane] as Promise<unknown>)
    .then(() => preview(picture))
    .then(
      (made) => self.postMessage({ id, made }),
      (error: unknown) => self.postMessage({ id, error: String(error) }),
    );
};

/** Draws a preview as WebP; a browser that cannot write WebP makes a PNG. */
const preview = (picture: Blob): Promise<Blob> => shrunk(picture, SIDE, "medium", { type: "image/webp", quality: 0.8 });
