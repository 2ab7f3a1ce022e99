// Pictures that every frame draws alike, as JPEG files: what an app gets from a camera or a file picker.

const WIDTH = 640;
const HEIGHT = 480;

/** Draws `count` different picture files. */
export async function drawPictures(count: number): Promise<Blob[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => draw(i)));
}

/** The picture that lies in a detector's folder, of which the reference's boxes are known: tools/export_onnx.py makes both. */
export async function pictureOf(model: string): Promise<Blob> {
  const response = await fetch(`${model}picture.png`);
  if (!response.ok) throw new Error(`${model}picture.png: ${response.status}: make it by tools/export_onnx.py`);
  return response.blob();
}

async function draw(seed: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  const ground = context.createLinearGradient(0, 0, WIDTH, HEIGHT);
  ground.addColorStop(0, `hsl(${seed * 45} 60% 70%)`);
  ground.addColorStop(1, `hsl(${seed * 45 + 120} 50% 30%)`);
  context.fillStyle = ground;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  for (let i = 0; i < 40; i++) {
    context.fillStyle = `hsl(${(i * 67 + seed * 31) % 360} 70% ${30 + ((i * 13) % 50)}%)`;
    context.beginPath();
    context.arc((i * 97 + seed * 53) % WIDTH, (i * 61 + seed * 29) % HEIGHT, 12 + ((i * 17) % 50), 0, 7);
    context.fill();
  }
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
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
