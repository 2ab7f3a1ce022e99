import { isPicture, picked, type Found } from "../files.ts";
import { sampleFile, samples } from "../samples.ts";
import { folders, type Difference } from "./folders.ts";

/** Name of the folder for single pictures. */
export const SINGLES = "Single images";

/** Lets the user pick a folder; undefined if they think better of it, or if `input` asks instead. */
export async function pickFolder(input: HTMLInputElement): Promise<Difference | undefined> {
  const { showDirectoryPicker } = window as unknown as {
    showDirectoryPicker?: (how: object) => Promise<FileSystemDirectoryHandle>;
  };
  if (!showDirectoryPicker) {
    input.click();
    return undefined;
  }
  try {
    return await folders.addFolder(await showDirectoryPicker({ id: "ocelli-photos", mode: "read" }));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  }
}

/** Takes what an input for files or for a folder holds. */
export async function takeInput(input: HTMLInputElement): Promise<Difference> {
  const found = picked(input.files ?? [], SINGLES);
  const whole = input.webkitdirectory;
  input.value = ""; // the same again is a change again
  return take(found, whole);
}

/** Takes single pictures. */
export function takeFiles(files: readonly File[]): Promise<Difference> {
  return take(picked(files, SINGLES), false);
}

/** Takes what was dropped: folders that the browser can read again, folders that it cannot, and single pictures. */
export async function takeDropped(data: DataTransfer): Promise<Difference> {
  // All of it must be asked for before the event is over.
  const items = [...data.items].filter(({ kind }) => kind === "file");
  const asked = items.map((item) => ({
    file: item.getAsFile(),
    entry: item.webkitGetAsEntry?.(),
    handle: handleOf(item),
  }));
  const sum: Difference = { added: 0, changed: 0, removed: 0 };
  const add = (one: Difference) => {
    sum.added += one.added;
    sum.changed += one.changed;
    sum.removed += one.removed;
  };
  const singles: File[] = [];
  let taken = 0;
  for (const { file, entry, handle } of asked) {
    const known = await handle;
    if (known?.kind === "directory") add(await folders.addFolder(known as FileSystemDirectoryHandle));
    else if (entry?.isDirectory) add(await take(await inside(entry as FileSystemDirectoryEntry), true));
    else {
      if (file) singles.push(file);
      continue;
    }
    taken++;
  }
  if (singles.length > 0 || taken === 0) add(await takeFiles(singles));
  return sum;
}

/** Takes the app's sample drawings, for who wants to see first what comes of it. */
export async function takeSamples(): Promise<Difference> {
  const found = samples.map(async (name): Promise<Found> => {
    const file = new File([await sampleFile(name)], `${name}.png`, { type: "image/png", lastModified: 0 });
    return { path: `Samples/${file.name}`, file };
  });
  return take(await Promise.all(found), true);
}

/** The handle of a dropped item; undefined where the browser gives none. */
function handleOf(item: DataTransferItem): Promise<FileSystemHandle | null | undefined> {
  const { getAsFileSystemHandle } = item as unknown as {
    getAsFileSystemHandle?: () => Promise<FileSystemHandle | null>;
  };
  return (getAsFileSystemHandle?.call(item) ?? Promise.resolve(null)).catch(() => null);
}

/** All pictures in a dropped folder and its subfolders. */
async function inside(folder: FileSystemDirectoryEntry): Promise<Found[]> {
  const found: Found[] = [];
  const reader = folder.createReader();
  // It gives some at a time, and in the end none.
  for (
    let some: FileSystemEntry[];
    (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length > 0;
  ) {
    for (const entry of some) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) found.push(...(await inside(entry as FileSystemDirectoryEntry)));
      else if (isPicture(entry)) {
        const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
        found.push({ path: entry.fullPath.slice(1), file });
      }
    }
  }
  return found;
}

async function take(found: Found[], whole: boolean): Promise<Difference> {
  if (found.length === 0)
    throw new Error(
      "None of these files is an image. Choose JPEG, PNG, WebP, GIF, AVIF or BMP files, or a folder that has some.",
    );
  return folders.addFiles(found, whole);
}
