import type { FolderRecord } from "../db.ts";
import { allowed, folderOf, walk, type Found } from "../files.ts";
import { Store } from "../store.ts";
import { collection } from "./collection.ts";
import { indexer } from "./indexer.ts";
import { asFolder, asSingles, differences } from "./known.ts";
import { visit } from "./visit.ts";

/** Counts of the pictures in which a folder differs from its records. */
export interface Difference {
  added: number;
  changed: number;
  removed: number;
}

/** Where pictures come from: folders that the browser can read again, and files that the user picks. */
class Folders extends Store {
  /** The folder that is being read, and how many pictures were found in it so far. */
  scanning: { folder: string; found: number } | undefined;
  /** Whether it is known what is kept. */
  isOpen = false;
  #opened: Promise<void> | undefined;

  /** Reads what is kept, once, and looks again into folders that the browser may read without asking. Pages call it when they are first shown. */
  open(): Promise<void> {
    return (this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      collection.fail(error);
    }));
  }

  /** Adds a folder that the browser can read again, with all pictures in it. */
  async addFolder(handle: FileSystemDirectoryHandle): Promise<Difference> {
    await this.open();
    const known = await nameOf(handle);
    const all = await this.#walk(handle, known ?? handle.name);
    if (all.length === 0 && known === undefined)
      throw new Error(`There are no images in “${handle.name}”. Choose a folder that has some.`);
    return collection.turns.take(async () => {
      const { name, found } =
        known === undefined
          ? asFolder(all, handle.name, true, collection.folders, collection.pictures)
          : { name: known, found: all };
      await collection.write({ folders: [{ name, handle }] });
      return take(found, [name], true);
    });
  }

  /** Adds files that the user has picked. If they are a `whole` folder, its pictures that are missing among them are removed. */
  async addFiles(all: readonly Found[], whole: boolean): Promise<Difference> {
    await this.open();
    return collection.turns.take(() => {
      if (!whole) return take(asSingles(all, collection.pictures), [], true);
      const names = [...new Set(all.map(({ path }) => folderOf(path)))];
      const folders = names.map((own) =>
        asFolder(
          all.filter(({ path }) => folderOf(path) === own),
          own,
          false,
          collection.folders,
          collection.pictures,
        ),
      );
      return take(
        folders.flatMap(({ found }) => found),
        folders.map(({ name }) => name),
        true,
      );
    });
  }

  /** Looks again into a folder. Must be called from a click where the browser asks for permission. */
  async refresh({ handle, name }: FolderRecord): Promise<Difference> {
    if (!handle) throw new Error(`The browser can't read “${name}” again by itself. Choose the folder once more.`);
    if (!(await allowed(handle, true)))
      throw new Error(
        `The browser wasn't allowed to read “${name}”. Try again and allow it, or choose the folder once more.`,
      );
    const found = await this.#walk(handle, name);
    return collection.turns.take(() => take(found, [name], true));
  }

  /** Removes a folder and its pictures from the collection; the files themselves stay where they are. */
  remove(folder: string): Promise<void> {
    return collection.turns.take(async () => {
      await indexer.stop();
      const pictures = [...collection.pictures.values()].filter((one) => one.folder === folder);
      await forget(
        pictures.map(({ path }) => path),
        [folder],
      );
      indexer.proceed();
    });
  }

  async #open(): Promise<void> {
    await collection.turns.take(() => collection.read());
    this.isOpen = true;
    this.changed();
    await indexer.follow();
    for (const { name, handle } of collection.folders) {
      if (handle && (await allowed(handle, false)))
        void this.#lookAgain(name, handle).catch((error: unknown) => collection.fail(error));
    }
  }

  async #lookAgain(name: string, handle: FileSystemDirectoryHandle): Promise<void> {
    const found = await this.#walk(handle, name);
    await collection.turns.take(() => take(found, [name], false));
  }

  async #walk(handle: FileSystemDirectoryHandle, name: string): Promise<Found[]> {
    const told = (found: number) => {
      this.scanning = { folder: name, found };
      this.changed();
    };
    told(0);
    try {
      return await walk(handle, name, told);
    } catch (cause) {
      throw new Error(
        `The folder “${name}” can't be read (${String(cause)}). Is it still there? Nothing was removed from Ocelli.`,
        { cause },
      );
    } finally {
      this.scanning = undefined;
      this.changed();
    }
  }
}

export const folders = new Folders();

/** Compares found pictures with the records, writes the difference, and starts to index new ones: always if the user `asked`. */
async function take(found: readonly Found[], wholeFolders: readonly string[], asked: boolean): Promise<Difference> {
  const { gone, fresh, changed } = differences(found, wholeFolders, collection.pictures);
  // The batch under way may hold a file that has changed, and its total lacks the new ones.
  if (gone.length + changed.length + fresh.length > 0) await indexer.stop();
  if (gone.length + changed.length > 0) await forget([...gone, ...changed.map(({ path }) => path)]);
  visit.add(found);
  const names = [...new Set(fresh.map(({ folder }) => folder))].filter((name) => !collection.hasFolder(name));
  await collection.write({ folders: names.map((name) => ({ name })), pictures: [...fresh, ...changed] });
  if (asked) indexer.start();
  else indexer.proceed();
  return { added: fresh.length, changed: changed.length, removed: gone.length };
}

async function forget(paths: readonly string[], folders: readonly string[] = []): Promise<void> {
  await collection.forget(paths, folders);
  visit.forget(paths);
}

/** The name under which the collection knows a folder. */
async function nameOf(handle: FileSystemDirectoryHandle): Promise<string | undefined> {
  for (const { name, handle: known } of collection.folders)
    if (known && (await known.isSameEntry(handle).catch(() => false))) return name;
  return undefined;
}
