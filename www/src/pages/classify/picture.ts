/** A picture that the browser can draw. */
export interface Picture {
  /** As it came, since then its pixels reach the model untouched; a drawing (SVG) as pixels. */
  blob: Blob;
  /** Object URL for an `<img>`. */
  address: string;
  /** A description for people. */
  name: string;
  /** The name of the sample, if the picture is one. */
  sample?: string | undefined;
}

/** A drawing has any size: this is enough for every model. */
const DRAWN = 1024;

/** Why there is no new picture, in words for the user. */
export class PictureError extends Error {}

/** @throws {PictureError} If the browser cannot draw it. */
export async function pictureOf(blob: Blob, name: string, sample?: string): Promise<Picture> {
  const address = URL.createObjectURL(blob);
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    return { blob: blob.type === "image/svg+xml" ? await drawn(image) : blob, address, name, sample };
  } catch (cause) {
    URL.revokeObjectURL(address);
    throw new PictureError(`${name}: the browser cannot read this as a picture. The old one stays.`, { cause });
  }
}

/** What only the browser's image element can draw, on white, as the page shows it. */
async function drawn(image: HTMLImageElement): Promise<Blob> {
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = width > 0 && height > 0 ? DRAWN / Math.max(width, height) : 0;
  const canvas = document.createElement("canvas");
  canvas.width = scale > 0 ? Math.max(1, Math.round(width * scale)) : DRAWN;
  canvas.height = scale > 0 ? Math.max(1, Math.round(height * scale)) : DRAWN;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return pngOf(canvas);
}

export function pngOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the canvas gives no picture"))), "image/png");
  });
}
