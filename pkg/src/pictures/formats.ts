/** How many of a file's bytes tell its format. */
export const HEAD = 1024;

/** Beginnings of files that some browsers, or all, do not decode. */
const STARTS: [string, string][] = [
  ["II*\0", "TIFF"],
  ["MM\0*", "TIFF"],
  ["II+\0", "TIFF"],
  ["\xff\x0a", "JPEG XL"],
  ["\0\0\0\x0cJXL ", "JPEG XL"],
  ["\0\0\0\x0cjP  ", "JPEG 2000"],
  ["8BPS", "PSD"],
  ["%PDF", "PDF"],
];

/** The name of a format that not every browser decodes, by the first {@link HEAD} bytes of a file. */
export function formatOf(head: Uint8Array): string | undefined {
  const text = String.fromCharCode(...head.subarray(0, 72));
  if (text.slice(4, 8) === "ftyp") {
    const brands: string[] = text.slice(8).match(/.{4}/gs) ?? [];
    const has = (...names: string[]) => names.some((name) => brands.includes(name));
    if (has("avif", "avis")) return "AVIF";
    if (has("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1")) return "HEIC";
    return undefined;
  }
  return STARTS.find(([start]) => text.startsWith(start))?.[1];
}

/** Whether a file that begins so is an SVG. */
export function isSvg(head: Uint8Array): boolean {
  const text = new TextDecoder().decode(head).trimStart();
  return text.startsWith("<") && /<svg[\s>]/.test(text);
}
