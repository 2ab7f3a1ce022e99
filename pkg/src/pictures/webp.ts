/**
 * EXIF orientation of WebP files. Pillow, and so the reference, turns images as their EXIF data says. Browsers do so with PNG and JPEG
 * files; with WebP files those of 2026 do not, so that each browser is asked.
 *
 * Container: RFC 9649; EXIF is a TIFF structure (CIPA DC-008), whose tag 0x0112 is the orientation, 1 to 8.
 */

/** A WebP file of 2 × 1 pixels whose orientation is 6: turned, it is higher than wide. */
const PROBE =
  "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAASUkqAAgAAAABABIBAwABAAAABgAAAAAAAAA=";

let asked: Promise<boolean> | undefined;

/** Whether this browser turns WebP files by itself. A browser that cannot say is asked again. */
export function browserTurns(): Promise<boolean> {
  asked ??= turnsProbe();
  asked.catch(() => (asked = undefined));
  return asked;
}

async function turnsProbe(): Promise<boolean> {
  const bytes = Uint8Array.from(atob(PROBE), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }), { imageOrientation: "from-image" });
  const turns = bitmap.height > bitmap.width;
  bitmap.close();
  return turns;
}

/** 1 to 8; 1, upright, for whatever is not a WebP file with a sound orientation. */
export async function webpOrientation(file: Blob): Promise<number> {
  const bytes = async (start: number, length: number) =>
    new DataView(await file.slice(start, start + length).arrayBuffer());
  const head = await bytes(0, 21);
  // The extended header's flag says whether there is an EXIF chunk at all.
  if (head.byteLength < 21 || text(head, 0) !== "RIFF" || text(head, 8) !== "WEBP" || text(head, 12) !== "VP8X")
    return 1;
  if ((head.getUint8(20) & 0x08) === 0) return 1;
  let at = 12;
  while (at + 8 <= file.size) {
    const chunk = await bytes(at, 8);
    const size = chunk.getUint32(4, true);
    if (text(chunk, 0) === "EXIF") return tiffOrientation(await bytes(at + 8, Math.min(size, MAX_EXIF)));
    at += 8 + size + (size & 1);
  }
  return 1;
}

/** The first directory comes early; thumbnails and the like do not matter here. */
const MAX_EXIF = 65_536;

function text(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

function tiffOrientation(exif: DataView): number {
  try {
    // Some writers keep the marker that JPEG files have.
    const start = text(exif, 0) === "Exif" ? 6 : 0;
    const little = exif.getUint16(start) === 0x4949;
    const directory = start + exif.getUint32(start + 4, little);
    const entries = exif.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const entry = directory + 2 + i * 12;
      if (exif.getUint16(entry, little) !== 0x0112) continue;
      const orientation = exif.getUint16(entry + 8, little);
      return orientation >= 1 && orientation <= 8 ? orientation : 1;
    }
  } catch (error) {
    // A directory that points outside of its chunk: damaged, and no reason to refuse the image.
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}

/** The image turned upright; exact for opaque pixels, as a canvas keeps them. */
export function turned(bitmap: ImageBitmap, orientation: number): ImageBitmap {
  const { width: w, height: h } = bitmap;
  const sideways = orientation >= 5;
  const canvas = new OffscreenCanvas(sideways ? h : w, sideways ? w : h);
  const context = canvas.getContext("2d");
  const matrix = {
    2: [-1, 0, 0, 1, w, 0],
    3: [-1, 0, 0, -1, w, h],
    4: [1, 0, 0, -1, 0, h],
    5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, h, 0],
    7: [0, -1, -1, 0, h, w],
    8: [0, -1, 1, 0, 0, w],
  }[orientation];
  if (!context || !matrix)
    throw new Error(`an image of ${w} × ${h} pixels with orientation ${orientation} cannot be turned`);
  context.imageSmoothingEnabled = false;
  context.setTransform(new DOMMatrix(matrix));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}
