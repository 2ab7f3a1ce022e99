/** Bytes at the start of a file in which its kind and its camera's data are looked for. */
const HEAD = 64 * 1024;
/** Pixels beyond which an image is a photo rather than a drawing: cameras have had more for twenty years. */
const MEGAPIXEL = 1_000_000;
/** Brands of HEIF files, in which phones keep photos. */
const HEIF = /^ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)/;

/**
 * Whether an image looks like a photo: it is a JPEG or HEIC file, which is what cameras write, carries a camera's data (EXIF), or has
 * more than a megapixel. A guess: it decides what is offered, never what is computed.
 *
 * @param pixels Width times height, if they are known; 0 for drawings without a size of their own.
 */
export async function looksLikePhoto(file: Blob, pixels = 0): Promise<boolean> {
  if (pixels > MEGAPIXEL) return true;
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  // One character a byte, whatever the bytes mean.
  const text = new TextDecoder("latin1").decode(head);
  const [first, second, third] = head;
  if (first === 0xff && second === 0xd8 && third === 0xff) return true;
  if (HEIF.test(text.slice(4))) return true;
  return (text.startsWith("PNG", 1) && text.includes("eXIf")) || (text.startsWith("RIFF") && text.includes("EXIF"));
}

/** The same guess from a file's name, for collections, whose files are not all read. */
export function namedLikePhoto(path: string): boolean {
  return /\.(jpe?g|jfif|heic|heif|dng)$/i.test(path);
}
