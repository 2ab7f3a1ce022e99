import { database, type FolderRecord, type PictureRecord } from "../db.ts";

/** Records that are written in one transaction: all of them or none. */
export interface Change {
  folders?: readonly FolderRecord[];
  pictures?: readonly PictureRecord[];
  thumbnails?: readonly { path: string; thumbnail: Blob }[];
  embeddings?: readonly { path: string; modelHash: string; embedding: Float32Array }[];
}

/** The collection as it is stored, with the embeddings of one model. */
export interface Kept {
  folders: FolderRecord[];
  pictures: PictureRecord[];
  /** Paths of the pictures that the model has embedded. */
  seen: string[];
}

/** More embeddings than these are read all at once, which is far quicker than one by one. */
const SINGLY = 100;

/** Where the collection is kept: in the browser's database, or, where that is forbidden or full, in memory for this visit. */
export class Shelf {
  /** Why records are kept for this visit only; undefined while the database works. */
  failed: unknown;
  readonly #folders = new Map<string, FolderRecord>();
  readonly #pictures = new Map<string, PictureRecord>();
  readonly #thumbnails = new Map<string, Blob>();
  readonly #embeddings = new Map<string, { path: string; modelHash: string; embedding: Float32Array }>();

  async read(modelHash: string | undefined): Promise<Kept> {
    const kept = await this.#try(async (): Promise<Kept> => {
      const db = (await database()).transaction(["folders", "pictures", "embeddings"]);
      const [folders, pictures, keys] = await Promise.all([
        db.objectStore("folders").getAll(),
        db.objectStore("pictures").getAll(),
        modelHash === undefined ? [] : db.objectStore("embeddings").getAllKeys(allOf(modelHash)),
      ]);
      return { folders, pictures, seen: keys.map(([, path]) => path) };
    });
    const here = [...this.#embeddings.values()].filter((one) => one.modelHash === modelHash).map(({ path }) => path);
    return {
      folders: joined(kept?.folders, this.#folders, ({ name }) => name),
      pictures: joined(kept?.pictures, this.#pictures, ({ path }) => path),
      seen: [...new Set([...(kept?.seen ?? []), ...here])],
    };
  }

  /** The embeddings of a model, in the order of `paths`; undefined where there is none. */
  async embeddings(modelHash: string, paths: readonly string[]): Promise<(Float32Array | undefined)[]> {
    const here = (path: string) => this.#embeddings.get(key(modelHash, path))?.embedding;
    const kept = await this.#try(async () => {
      const store = (await database()).transaction("embeddings").store;
      if (paths.length > SINGLY) {
        const [keys, all] = await Promise.all([store.getAllKeys(allOf(modelHash)), store.getAll(allOf(modelHash))]);
        const found = new Map(keys.map(([, path], i) => [path, all[i]]));
        return paths.map((path) => here(path) ?? found.get(path));
      }
      return Promise.all(paths.map((path) => here(path) ?? store.get([modelHash, path])));
    });
    return kept ?? paths.map(here);
  }

  async thumbnail(path: string): Promise<Blob | undefined> {
    return this.#thumbnails.get(path) ?? this.#try(async () => (await database()).get("thumbnails", path));
  }

  async put({ folders = [], pictures = [], thumbnails = [], embeddings = [] }: Change): Promise<void> {
    if (this.failed === undefined) {
      const done = await this.#try(async () => {
        const db = (await database()).transaction(["folders", "pictures", "thumbnails", "embeddings"], "readwrite");
        await Promise.all([
          ...folders.map((folder) => db.objectStore("folders").put(folder)),
          ...pictures.map((picture) => db.objectStore("pictures").put(picture)),
          ...thumbnails.map(({ path, thumbnail }) => db.objectStore("thumbnails").put(thumbnail, path)),
          ...embeddings.map(({ path, modelHash, embedding }) =>
            db.objectStore("embeddings").put(embedding, [modelHash, path]),
          ),
          db.done,
        ]);
        return true;
      });
      if (done) return;
    }
    for (const folder of folders) this.#folders.set(folder.name, folder);
    for (const picture of pictures) this.#pictures.set(picture.path, picture);
    for (const { path, thumbnail } of thumbnails) this.#thumbnails.set(path, thumbnail);
    for (const one of embeddings) this.#embeddings.set(key(one.modelHash, one.path), one);
  }

  /** Deletes pictures, everything that any model made of them, and folders. */
  async forget(paths: readonly string[], folders: readonly string[] = []): Promise<void> {
    const gone = new Set(paths);
    await this.#try(async () => {
      const db = (await database()).transaction(["folders", "pictures", "thumbnails", "embeddings"], "readwrite");
      const keys =
        gone.size > 0 ? (await db.objectStore("embeddings").getAllKeys()).filter(([, path]) => gone.has(path)) : [];
      await Promise.all([
        ...folders.map((name) => db.objectStore("folders").delete(name)),
        ...paths.flatMap((path) => [
          db.objectStore("pictures").delete(path),
          db.objectStore("thumbnails").delete(path),
        ]),
        ...keys.map((key) => db.objectStore("embeddings").delete(key)),
        db.done,
      ]);
      return true;
    });
    for (const name of folders) this.#folders.delete(name);
    for (const path of paths) {
      this.#pictures.delete(path);
      this.#thumbnails.delete(path);
    }
    for (const [key, { path }] of this.#embeddings) if (gone.has(path)) this.#embeddings.delete(key);
  }

  /** Tries twice, because the browser may have closed the database in between. Undefined if both fail. */
  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    for (const last of [false, true]) {
      try {
        return await work();
      } catch (error) {
        if (last) this.failed ??= error;
      }
    }
    return undefined;
  }
}

function allOf(modelHash: string): IDBKeyRange {
  return IDBKeyRange.bound([modelHash], [modelHash, []]);
}

function key(modelHash: string, path: string): string {
  return JSON.stringify([modelHash, path]);
}

/** Joins stored records and those in memory, which are newer. */
function joined<T>(kept: readonly T[] = [], here: ReadonlyMap<string, T>, nameOf: (one: T) => string): T[] {
  return [...kept.filter((one) => !here.has(nameOf(one))), ...here.values()];
}
