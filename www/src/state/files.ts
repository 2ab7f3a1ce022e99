/** A picture file that may be taken into the collection. */
export interface Found {
  /** `folder/sub/name.jpg` */
  path: string;
  file: File;
}

/** By name, since files of a folder often have no type. What the browser cannot decode is said later, for each picture. */
const pictureName = /\.(jpe?g|png|webp|gif|avif|bmp)$/i;

export function isPicture(file: { name: string; type?: string }): boolean {
  return (file.type ?? "").startsWith("image/") ? file.type !== "image/svg+xml" : pictureName.test(file.name);
}

/** All pictures of a folder and of those in it, in the order of their names; hidden folders are left out. */
export async function walk(folder: FileSystemDirectoryHandle, path = folder.name, signal?: AbortSignal): Promise<Found[]> {
  const found: Found[] = [];
  const entries: FileSystemHandle[] = [];
  for await (const entry of values(folder)) entries.push(entry);
  entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  for (const entry of entries) {
    signal?.throwIfAborted();
    const at = `${path}/${entry.name}`;
    if (entry.kind === "directory") {
      if (!entry.name.startsWith(".")) found.push(...(await walk(entry as FileSystemDirectoryHandle, at, signal)));
    } else if (isPicture({ name: entry.name })) {
      found.push({ path: at, file: await (entry as FileSystemFileHandle).getFile() });
    }
  }
  return found;
}

/** What an `<input type="file">` gave: a whole folder, or single pictures, which go into a folder of that name. */
export function picked(files: Iterable<File>, folder: string): Found[] {
  return [...files].filter(isPicture).map((file) => ({ path: file.webkitRelativePath || `${folder}/${file.name}`, file }));
}

/** TypeScript's DOM does not know the iterator of folders yet. */
function values(folder: FileSystemDirectoryHandle): AsyncIterable<FileSystemHandle> {
  return (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values();
}

/** Small enough to keep thousands of them, large enough for a grid. */
const THUMBNAIL = 256;

/** @throws {DOMException} If the browser cannot decode the picture. */
export async function thumbnail(picture: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  const scale = Math.min(1, THUMBNAIL / Math.min(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale))) as [number, number];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  context.imageSmoothingQuality = "medium";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  // Where WebP is not known, the browser takes PNG.
  return canvas.convertToBlob({ type: "image/webp", quality: 0.8 });
}
