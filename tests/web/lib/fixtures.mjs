// The golden answers of tests/fixtures, and exact pixels to ask about.
import { readFileSync } from "node:fs";
import { join, parse } from "node:path";
import { PNG } from "pngjs";

export const models = ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "open-clip", "open-clip-siglip"];

export class Fixtures {
  constructor(folder) {
    this.folder = folder;
  }

  model(name) {
    return join(this.folder, name);
  }

  image(name) {
    return join(this.folder, "images", name);
  }

  golden(model) {
    return JSON.parse(readFileSync(join(this.folder, model, "golden.json"), "utf8"));
  }

  /** RGB of the square that the tower must see. */
  square(model, image) {
    return rgb(readPng(join(this.folder, model, "pixels", `${parse(image).name}.png`)).data);
  }

  /** RGBA of a PNG picture, the right way up, decoded without the browser. */
  exact(image) {
    return image.startsWith("orientation6") ? turnRight(readPng(this.image(image))) : readPng(this.image(image));
  }
}

/** The golden scores' labels. The package refuses an empty one; a blank is the same text to every tokenizer. */
export const labelsOf = (golden) => golden.logits_per_image.labels.map((label) => label || " ");

export const lossless = (image) => !image.endsWith(".jpg");

export function readPng(file) {
  const { width, height, data } = PNG.sync.read(readFileSync(file));
  return { width, height, data };
}

/** Without the alpha bytes. */
export function rgb(rgba) {
  return Uint8Array.from({ length: (rgba.length / 4) * 3 }, (_, i) => rgba[Math.trunc(i / 3) * 4 + (i % 3)]);
}

/** A quarter turn clockwise: what EXIF's orientation 6 asks for. */
function turnRight({ width, height, data }) {
  const turned = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      turned.set(data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4), (x * height + height - 1 - y) * 4);
    }
  }
  return { width: height, height: width, data: turned };
}

/** The bytes of a WebP file with another EXIF orientation, 1 to 8. */
export function turnedTo(file, orientation) {
  const bytes = readFileSync(file);
  const tag = Buffer.from([0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00]);
  const bigTag = Buffer.from([0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01]);
  const at = Math.max(bytes.lastIndexOf(tag), bytes.lastIndexOf(bigTag));
  if (at < 0) throw new Error(`${file}: expected an EXIF orientation, found none`);
  if (bytes.lastIndexOf(tag) === at) bytes.writeUInt16LE(orientation, at + 8);
  else bytes.writeUInt16BE(orientation, at + 8);
  return bytes;
}
