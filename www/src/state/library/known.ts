import type { FolderRecord, PictureRecord } from "../db.ts";
import { folderOf, type Found } from "../files.ts";

/** Whether two records, or a record and a file, are of the same state of a file. */
export function same(a: { size: number; modified: number }, b: { size: number; modified: number }): boolean {
  return a.size === b.size && a.modified === b.modified;
}

export function stateOf({ size, lastModified }: File): { size: number; modified: number } {
  return { size, modified: lastModified };
}

/**
 * A folder under the name by which the collection knows it, or a free one: two folders may have the same name. Without a handle to
 * tell them apart, one with a picture that is known is the known one.
 */
export function asFolder(
  found: readonly Found[],
  own: string,
  handle: boolean,
  folders: readonly FolderRecord[],
  pictures: ReadonlyMap<string, PictureRecord>,
): { name: string; found: Found[] } {
  for (let n = 1; ; n++) {
    const name = n === 1 ? own : `${own} (${n})`;
    const renamed = found.map(({ path, file }) => ({ path: name + path.slice(folderOf(path).length), file }));
    const holder = folders.find((folder) => folder.name === name);
    const taken =
      holder &&
      ((handle && holder.handle) || (holdsAny(name, pictures) && !renamed.some((one) => isKnown(one, pictures))));
    if (!taken) return { name, found: renamed };
  }
}

/** Single pictures, whose folders nobody knows: one that is another than the known one of its name gets a number. */
export function asSingles(found: readonly Found[], pictures: ReadonlyMap<string, PictureRecord>): Found[] {
  const taken = new Set<string>();
  return found.map(({ path, file }) => {
    const dot = path.lastIndexOf(".");
    for (let n = 1; ; n++) {
      const one = { path: n === 1 ? path : `${path.slice(0, dot)} (${n})${path.slice(dot)}`, file };
      if (taken.has(one.path) || (pictures.has(one.path) && !isKnown(one, pictures))) continue;
      taken.add(one.path);
      return one;
    }
  });
}

/** How a collection, or what is here of some folders as a whole, differs from what was found. */
export function differences(
  found: readonly Found[],
  wholeFolders: readonly string[],
  pictures: ReadonlyMap<string, PictureRecord>,
): { gone: string[]; fresh: PictureRecord[]; changed: PictureRecord[] } {
  const records = found.map(({ path, file }): PictureRecord => ({ path, folder: folderOf(path), ...stateOf(file) }));
  const now = new Set(records.map(({ path }) => path));
  const known = (record: PictureRecord) => pictures.get(record.path);
  return {
    gone: [...pictures.values()]
      .filter(({ path, folder }) => wholeFolders.includes(folder) && !now.has(path))
      .map(({ path }) => path),
    fresh: records.filter((record) => !known(record)),
    changed: records.filter((record) => !same(known(record) ?? record, record)),
  };
}

function isKnown({ path, file }: Found, pictures: ReadonlyMap<string, PictureRecord>): boolean {
  const known = pictures.get(path);
  return known !== undefined && same(known, stateOf(file));
}

function holdsAny(folder: string, pictures: ReadonlyMap<string, PictureRecord>): boolean {
  for (const picture of pictures.values()) if (picture.folder === folder) return true;
  return false;
}
