// Pictures that every frame draws alike, as JPEG files: what an app gets from a camera or a file picker.

const WIDTH = 640;
const HEIGHT = 480;

/** Draws `count` different picture files. */
export async function drawPictures(count: number): Promise<Blob[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => draw(i)));
}

/** The picture that lies in a folder, of which the reference's answers are known: the tools that export models make both. */
export async function pictureOf(model: string): Promise<Blob> {
  const response = await fetch(`${model}picture.png`);
  if (!response.ok) throw new Error(`${model}picture.png: ${response.status}: make it by tools/export_*.py`);
  return response.blob();
}

/**
 * Number 0 is the picture in the folder; others are drawn at its size, each different. All are files without loss: what everyone sees is the
 * same to the bit.
 */
export async function pictureNumber(model: string, number: number): Promise<Blob> {
  const first = await pictureOf(model);
  if (number === 0) return first;
  const { width, height } = await createImageBitmap(first);
  return draw(number, [width, height], { type: "image/png" });
}

async function draw(
  seed: number,
  [width, height] = [WIDTH, HEIGHT],
  as: ImageEncodeOptions = { type: "image/jpeg", quality: 0.9 },
): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  const ground = context.createLinearGradient(0, 0, width, height);
  ground.addColorStop(0, `hsl(${seed * 45} 60% 70%)`);
  ground.addColorStop(1, `hsl(${seed * 45 + 120} 50% 30%)`);
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  for (let i = 0; i < 40; i++) {
    context.fillStyle = `hsl(${(i * 67 + seed * 31) % 360} 70% ${30 + ((i * 13) % 50)}%)`;
    context.beginPath();
    context.arc((i * 97 + seed * 53) % width, (i * 61 + seed * 29) % height, 12 + ((i * 17) % 50), 0, 7);
    context.fill();
  }
  return canvas.convertToBlob(as);
}

/** RGBA of a picture, resized by the browser to cover a square of this side. */
export async function squareOf(picture: Blob, side: number): Promise<Uint8ClampedArray> {
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, side, side);
  bitmap.close();
  return context.getImageData(0, 0, side, side).data;
}
