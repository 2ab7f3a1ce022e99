/** A picture file that may be taken into the collection. */
export interface Found {
  /** Path from the picked folder on, such as `folder/sub/name.jpg`. */
  path: string;
  file: File;
}

/** By name, since files of a folder often have no type. What the browser cannot decode is said later, for each picture. */
const pictureName = /\.(jpe?g|png|webp|gif|avif|bmp|heic|heif|jxl|tiff?)$/i;

export function isPicture(file: { name: string; type?: string }): boolean {
  if (file.name.startsWith(".")) return false;
  return (file.type ?? "").startsWith("image/") ? file.type !== "image/svg+xml" : pictureName.test(file.name);
}

/** Pictures between two reports of progress. */
const TOLD = 50;

/** All pictures of a folder and of those in it, in the order of their names; hidden ones are left out. */
export async function walk(
  folder: FileSystemDirectoryHandle,
  path = folder.name,
  told: (count: number) => void = () => {},
): Promise<Found[]> {
  const found: Found[] = [];
  const into = async (folder: FileSystemDirectoryHandle, path: string) => {
    const entries: FileSystemHandle[] = [];
    for await (const entry of values(folder)) if (!entry.name.startsWith(".")) entries.push(entry);
    entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    for (const entry of entries) {
      const at = `${path}/${entry.name}`;
      if (entry.kind === "directory") await into(entry as FileSystemDirectoryHandle, at);
      else if (isPicture(entry)) {
        // It may have gone since the folder was listed.
        const file = await (entry as FileSystemFileHandle).getFile().catch(() => undefined);
        if (file && found.push({ path: at, file }) % TOLD === 0) told(found.length);
      }
    }
  };
  await into(folder, path);
  return found;
}

/** The pictures from an `<input type="file">` or a drop: whole folders, or single pictures, which get the folder `folder`. */
export function picked(files: Iterable<File>, folder: string): Found[] {
  return [...files]
    .filter(isPicture)
    .map((file) => ({ path: file.webkitRelativePath || `${folder}/${file.name}`, file }));
}

/** The first part of a path. Bare names, which an imported index may have, count as in the folder "imported". */
export function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "imported";
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The entries of a folder. TypeScript's DOM types lack this iterator so far. */
function values(folder: FileSystemDirectoryHandle): AsyncIterable<FileSystemHandle> {
  return (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values();
}

/** Whether the browser lets this page read a folder; it may ask the user only from a click. */
export async function allowed(handle: FileSystemDirectoryHandle, ask: boolean): Promise<boolean> {
  // TypeScript's DOM does not know permissions of handles yet; browsers without them allow what they hand out.
  const { queryPermission, requestPermission } = handle as unknown as Record<
    string,
    ((how: object) => Promise<string>) | undefined
  >;
  if (!queryPermission || !requestPermission) return true;
  const state = await queryPermission.call(handle, { mode: "read" });
  return state === "granted" || (ask && (await requestPermission.call(handle, { mode: "read" })) === "granted");
}
