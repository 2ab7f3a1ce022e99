/** Draws previews away from the page, a few at a time, so that few whole pictures are in memory. */

/** Small enough to keep thousands of them, large enough for a grid. */
const SIDE = 256;
const AT_A_TIME = 2;

const lanes: Promise<unknown>[] = Array.from({ length: AT_A_TIME }, () => Promise.resolve());
let next = 0;

self.onmessage = ({ data: { id, picture } }: MessageEvent<{ id: number; picture: Blob }>) => {
  const lane = next++ % AT_A_TIME;
  lanes[lane] = (lanes[lane] as Promise<unknown>).then(() => preview(picture)).then(
    (made) => self.postMessage({ id, made }),
    (error: unknown) => self.postMessage({ id, error: String(error) }),
  );
};

async function preview(picture: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  const scale = Math.min(1, SIDE / Math.min(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale))) as [number, number];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  context.imageSmoothingQuality = "medium";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  // Where WebP is not known, the browser takes PNG.
  return canvas.convertToBlob({ type: "image/webp", quality: 0.8 });
}
