/** Bytes at the start of a file in which its camera's data are looked for. */
export const HEAD = 64 * 1024;

/** Of a directory of TIFF: the tags that lead to the date, CIPA DC-008 4.6. */
const EXIF_DIRECTORY = 0x8769;
const DATE_TAKEN = 0x9003;

/** "2024:05:17 09:30:00", which says no time zone. */
const DATE = /^(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)/;

/**
 * When a photo was taken, by the camera's own clock, in milliseconds since 1970; undefined if the beginning of its file does not say. JPEG
 * files have these data at the start; so do most others that have any.
 */
export function takenAt(head: Uint8Array): number | undefined {
  const at = indexOf(head, "Exif\0\0");
  if (at < 0) return undefined;
  try {
    return read(new DataView(head.buffer, head.byteOffset + at + 6, head.length - at - 6));
  } catch {
    return undefined; // it leads beyond what was read
  }
}

function read(tiff: DataView): number | undefined {
  const little = tiff.getUint16(0) === 0x4949;
  const short = (at: number) => tiff.getUint16(at, little);
  const long = (at: number) => tiff.getUint32(at, little);
  /** Where the entry of a tag begins in the directory at `at`. */
  const entry = (at: number, tag: number): number | undefined => {
    for (let i = 0; i < short(at); i++) if (short(at + 2 + 12 * i) === tag) return at + 2 + 12 * i;
    return undefined;
  };
  const directory = entry(long(4), EXIF_DIRECTORY);
  const date = directory && entry(long(directory + 8), DATE_TAKEN);
  if (!date) return undefined;
  const start = long(date + 8);
  const text = String.fromCharCode(...Array.from({ length: 19 }, (_, i) => tiff.getUint8(start + i)));
  const [, year, month, day, hour, minute, second] = (DATE.exec(text) ?? []).map(Number);
  const time = new Date(year ?? NaN, (month ?? 0) - 1, day, hour, minute, second).getTime();
  // A camera whose clock was never set says 0000.
  return Number.isFinite(time) && (year as number) > 1900 ? time : undefined;
}

/** Where some characters of one byte each begin; -1 if they are not there. */
function indexOf(bytes: Uint8Array, text: string): number {
  return new TextDecoder("latin1").decode(bytes).indexOf(text);
}
