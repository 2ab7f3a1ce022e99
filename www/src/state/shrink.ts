/** A picture drawn smaller, so that its short side is at most `side` pixels. */
export function smaller(bitmap: ImageBitmap, side: number, smoothing: ImageSmoothingQuality): OffscreenCanvas {
  const scale = Math.min(1, side / Math.min(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  );
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  context.imageSmoothingQuality = smoothing;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** A picture file made smaller. @throws {DOMException} If the browser cannot decode it. */
export async function shrunk(
  picture: Blob,
  side: number,
  smoothing: ImageSmoothingQuality,
  encoding: ImageEncodeOptions,
): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  const canvas = smaller(bitmap, side, smoothing);
  bitmap.close();
  return canvas.convertToBlob(encoding);
}
