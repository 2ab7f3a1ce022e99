import { Zip, ZipPassThrough } from "fflate";

/** A file of an archive. */
export interface Entry {
  path: string;
  file: Blob;
  /** In milliseconds since 1970. */
  modified: number;
}

/** More bytes or files than these need ZIP64, which fflate does not write. */
const MOST_BYTES = 4_000_000_000;
const MOST_FILES = 65_535;
/** Bytes that are held in memory before the browser may put them on the disk. */
const PART = 64 << 20;
/** The first year that a ZIP file can say. */
const FIRST = new Date(1980, 0, 2).getTime();

/** Why files are too many for one archive; undefined if they are not. */
export function tooMuch(files: number, bytes: number): string | undefined {
  return bytes > MOST_BYTES || files > MOST_FILES ? "A ZIP holds up to 4 GB. Select fewer photos." : undefined;
}

/**
 * An archive of files, which are read one after the other. Images stay as they are, since they are compressed already.
 *
 * @throws If a file cannot be read.
 */
export async function zipped(
  entries: Iterable<Entry>,
  told: (done: number) => void,
  signal: AbortSignal,
): Promise<Blob> {
  let whole = new Blob([], { type: "application/zip" });
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let held = 0;
  let failed: Error | undefined;
  const zip = new Zip((error, data) => {
    failed ??= error ?? undefined;
    parts.push(data as Uint8Array<ArrayBuffer>);
    held += data.length;
  });
  const settle = () => {
    whole = new Blob([whole, ...parts], { type: whole.type });
    [parts, held] = [[], 0];
  };
  let done = 0;
  for (const { path, file, modified } of entries) {
    const into = new ZipPassThrough(path);
    into.mtime = Math.max(FIRST, modified);
    zip.add(into);
    const reader = file.stream().getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      signal.throwIfAborted();
      into.push(value as Uint8Array);
      if (held > PART) settle();
    }
    into.push(new Uint8Array(), true);
    if (failed) throw failed;
    told(++done);
  }
  zip.end();
  if (failed) throw failed;
  settle();
  return whole;
}
