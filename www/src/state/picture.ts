import { looksLikePhoto } from "./photo.ts";

/** A picture that the browser can draw. */
export interface Picture {
  /** As it came, since then its pixels reach the model untouched; a drawing (SVG) as pixels. */
  blob: Blob;
  /** Object URL of it, for an `<img>`. */
  address: string;
  /** Of its upright pixels. */
  width: number;
  height: number;
  /** A description for people. */
  name: string;
  /** The name of the sample, if the picture is one. */
  sample?: string | undefined;
  /** Whether it looks like a photo, which the built-in model does not know. */
  photo: boolean;
}

/** A drawing has any size: this is enough for every model. */
const DRAWN = 1024;

/** Where a picture comes from: what a camera sees is a photo, and a drawing of the app or a screen is none, however large. */
export type Origin = "file" | "camera" | "screen" | { sample: string };

/** Why there is no new picture, in words for the user. */
export class PictureError extends Error {}

/** @throws {PictureError} If the browser cannot draw it. */
export async function pictureOf(file: Blob, name: string, origin: Origin = "file"): Promise<Picture> {
  const drawing = file.type === "image/svg+xml";
  let address = URL.createObjectURL(file);
  try {
    let image = await decoded(address);
    let blob = file;
    if (drawing) {
      blob = await drawn(image);
      URL.revokeObjectURL(address);
      image = await decoded((address = URL.createObjectURL(blob)));
    }
    const { naturalWidth: width, naturalHeight: height } = image;
    const pixels = drawing ? 0 : width * height;
    return {
      blob,
      address,
      width,
      height,
      name,
      sample: typeof origin === "object" ? origin.sample : undefined,
      photo: origin === "camera" || (origin === "file" && (await looksLikePhoto(file, pixels))),
    };
  } catch (cause) {
    URL.revokeObjectURL(address);
    throw new PictureError(`${name}: ${unreadable(file)} The previous image stays.`, { cause });
  }
}

async function decoded(address: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** The browser's own name. Others that are built like Chrome open what it opens. */
function browser(): string {
  const { userAgent } = navigator;
  return (
    ["Firefox", "Edg", "Chrome", "Safari"].find((name) => userAgent.includes(`${name}/`))?.replace(/^Edg$/, "Edge") ??
    "This browser"
  );
}

/** Why the browser cannot show a file, and what to do about it. */
export function unreadable(file: Blob): string {
  const kind = /\b(hei[cf]|tiff?|avif|jxl)$/i.exec(file instanceof File ? file.name : file.type)?.[1];
  if (!kind) return "This browser can't read the file as an image.";
  const name = browser();
  return `${name} can't open ${kind.toUpperCase()}. Export as JPEG${name === "Safari" ? "" : ", or use Safari"}.`;
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
