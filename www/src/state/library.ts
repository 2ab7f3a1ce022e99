import type { Ocelli } from "ocelli";
import { ImageIndex } from "ocelli/index";
import { database, type FolderRecord, type PictureRecord } from "./db.ts";
import { walk, type Found } from "./files.ts";
import { Indexing, type Indexed, type Progress } from "./indexing.ts";
import { models } from "./models.ts";
import { Store } from "./store.ts";

/** What a scan of a folder has found, beside what is known of it. */
export interface Difference {
  added: number;
  changed: number;
  removed: number;
}

/** What the index, and a file made of it, says of a picture beside its path. */
export interface Meta {
  size: number;
  modified: number;
}

/**
 * The user's collection: pictures by their paths, with what the model in use makes of them. Everything is written to the browser's
 * database batch by batch, so a visit that ends goes on where it was. One embedding is kept for each model and picture.
 */
class Library extends Store {
  folders: FolderRecord[] = [];
  readonly pictures = new Map<string, PictureRecord>();
  /** The embeddings that the model in use has made; undefined until model and database are here. */
  index: ImageIndex<Meta> | undefined;
  /** Why the database or the indexing failed. */
  failed: unknown;
  #indexing: Indexing | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Files that this visit may read, by path. */
  readonly #files = new Map<string, File>();
  #opened: Promise<void> | undefined;
  #model: Ocelli | undefined;
  /** What changes the collection takes turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor() {
    super();
    models.addEventListener("change", () => {
      if (this.#opened && models.model && models.model !== this.#model) void this.#use(models.model).catch((error: unknown) => this.#fail(error));
    });
  }

  /** Reads what is kept, once; pages call it when they are first shown. */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      this.#fail(error);
    });
    return this.#opened;
  }

  get progress(): Progress | undefined {
    return this.#indexing?.progress;
  }

  /** Pictures that the model in use has not seen yet. */
  get waiting(): PictureRecord[] {
    return [...this.pictures.values()].filter(({ path, broken }) => broken === undefined && !this.index?.has(path));
  }

  /** Those that the model in use has seen. */
  get seen(): PictureRecord[] {
    return [...this.pictures.values()].filter(({ path }) => this.index?.has(path));
  }

  get broken(): PictureRecord[] {
    return [...this.pictures.values()].filter(({ broken }) => broken !== undefined);
  }

  async thumbnail(path: string): Promise<Blob | undefined> {
    return (await database()).get("thumbnails", path);
  }

  /** The picture itself, if this visit may read it. */
  file(path: string): File | undefined {
    return this.#files.get(path);
  }

  /** Takes a folder that the browser can read again, and all pictures in it. */
  addFolder(handle: FileSystemDirectoryHandle): Promise<Difference> {
    return this.#inTurn(async () => {
      await (await database()).put("folders", { name: handle.name, handle });
      return this.#take(await walk(handle), [handle.name]);
    });
  }

  /** Takes files that the user has picked; what is missing of a folder that was picked as a `whole` has gone. */
  addFiles(found: readonly Found[], whole: boolean): Promise<Difference> {
    return this.#inTurn(() => this.#take(found, whole ? [...new Set(found.map(({ path }) => folderOf(path)))] : []));
  }

  /** Looks again into a folder. Must be called from a click where the browser asks for permission. */
  async refresh(folder: FolderRecord): Promise<Difference> {
    const { handle } = folder;
    if (!handle) throw new Error(`${folder.name}: the browser cannot read it again by itself: pick it once more.`);
    if (!(await allowed(handle, true))) throw new Error(`${folder.name}: the browser was not allowed to read it.`);
    return this.#inTurn(async () => this.#take(await walk(handle), [handle.name]));
  }

  /** Forgets a folder with all its pictures; the files themselves stay where they are. */
  remove(folder: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stopped();
      const gone = [...this.pictures.values()].filter((one) => one.folder === folder).map(({ path }) => path);
      await this.#forget(gone);
      await (await database()).delete("folders", folder);
      this.folders = this.folders.filter(({ name }) => name !== folder);
    });
  }

  pause(): void {
    this.#indexing?.pause();
  }

  resume(): void {
    this.#indexing?.resume();
  }

  /** Ends the indexing; what is done stays, and the rest waits. */
  cancel(): void {
    this.#indexing?.cancel();
  }

  /** Goes on with all that waits and that this visit may read. */
  start(): void {
    const model = this.#model;
    if (!model || !this.index || this.#indexing) return;
    const todo = this.waiting.flatMap(({ path }) => {
      const file = this.#files.get(path);
      return file ? [{ path, file }] : [];
    });
    if (todo.length === 0) return;
    const mine = (this.#indexing = new Indexing(todo, model, (batch) => this.#write(batch, model), () => this.changed()));
    this.failed = undefined;
    this.changed();
    this.#running = mine.run().catch((error: unknown) => {
      if (model === this.#model) this.#fail(error);
    }).finally(() => {
      if (this.#indexing === mine) this.#indexing = undefined;
      this.changed();
    });
  }

  /** Vectors with their paths, for NumPy and the like: see `ImageIndex.export`. */
  export(): Blob {
    if (!this.index) throw new Error("There is nothing to export yet.");
    return this.index.export("safetensors");
  }

  /** Takes the vectors of such a file, also of pictures that are in no folder here: their previews come with a scan. Returns how many. */
  import(file: Blob): Promise<number> {
    return this.#inTurn(async () => {
      const model = this.#model;
      if (!model) throw new Error("The model is not here yet.");
      const from = await ImageIndex.import<Meta>(file, { model, format: "f32", backend: "cpu" });
      const records = from.items().flatMap(({ id: path, meta }) => {
        const known = this.pictures.get(path);
        const picture = { path, folder: folderOf(path), size: meta?.size ?? known?.size ?? 0, modified: meta?.modified ?? known?.modified ?? 0 };
        // What differs is of another state of the file.
        return (known && !same(known, picture)) || this.index?.has(path) ? [] : [{ picture: known ?? picture, embedding: from.vector(path) as Float32Array }];
      });
      from.dispose();
      const db = (await database()).transaction(["pictures", "folders", "embeddings"], "readwrite");
      const { modelHash } = model.info;
      await Promise.all([
        ...records.flatMap(({ picture, embedding }) => [db.objectStore("pictures").put(picture), db.objectStore("embeddings").put(embedding, [modelHash, picture.path])]),
        ...this.#missingFolders(records.map(({ picture }) => picture.folder)).map((name) => db.objectStore("folders").put({ name })),
        db.done,
      ]);
      for (const { picture } of records) this.pictures.set(picture.path, picture);
      this.folders.push(...this.#missingFolders(records.map(({ picture }) => picture.folder)).map((name) => ({ name })));
      await this.#learn(records.map(({ picture, embedding }) => ({ path: picture.path, embedding })));
      return records.length;
    });
  }

  async #open(): Promise<void> {
    const db = await database();
    this.folders = await db.getAll("folders");
    for (const picture of await db.getAll("pictures")) this.pictures.set(picture.path, picture);
    this.changed();
    if (models.model) await this.#use(models.model);
    // What the browser may read without asking is looked at again.
    for (const folder of this.folders) {
      if (folder.handle && (await allowed(folder.handle, false))) void this.refresh(folder).catch((error: unknown) => this.#fail(error));
    }
  }

  /** Another model: its own embeddings, as far as there are any. */
  async #use(model: Ocelli): Promise<void> {
    this.#model = model;
    this.index?.dispose();
    this.index = undefined;
    await this.#stopped();
    const { modelHash } = model.info;
    const db = await database();
    const range = IDBKeyRange.bound([modelHash], [modelHash, []]);
    const [keys, vectors] = await Promise.all([db.getAllKeys("embeddings", range), db.getAll("embeddings", range)]);
    const index = await ImageIndex.create<Meta>({ model, format: "f32" });
    if (model !== this.#model) return index.dispose();
    this.index = index;
    await this.#learn(keys.map(([, path], i) => ({ path, embedding: vectors[i] as Float32Array })).filter(({ path }) => this.pictures.has(path)));
    this.changed();
    this.start();
  }

  /** Puts embeddings into the index. */
  async #learn(rows: { path: string; embedding: Float32Array }[]): Promise<void> {
    const { index } = this;
    if (!index || rows.length === 0) return;
    for (const { path } of rows) index.remove(path);
    const items = rows.map(({ path }) => {
      const { size, modified } = this.pictures.get(path) as PictureRecord;
      return { id: path, meta: { size, modified } };
    });
    await index.add(items, rows.map(({ embedding }) => embedding));
    this.changed();
  }

  /** Compares what was found with what is known, writes it down, and begins with what is new. */
  async #take(found: readonly Found[], wholeFolders: readonly string[]): Promise<Difference> {
    await this.open();
    const now = new Set(found.map(({ path }) => path));
    const gone = [...this.pictures.values()].filter(({ path, folder }) => wholeFolders.includes(folder) && !now.has(path)).map(({ path }) => path);
    const records = found.map(({ path, file }): PictureRecord => ({ path, folder: folderOf(path), size: file.size, modified: file.lastModified }));
    const fresh = records.filter((record) => !this.pictures.has(record.path));
    const changed = records.filter((record) => {
      const known = this.pictures.get(record.path);
      return known && !same(known, record);
    });
    await this.#forget([...gone, ...changed.map(({ path }) => path)]);
    const names = [...new Set(fresh.map(({ folder }) => folder))];
    const db = (await database()).transaction(["pictures", "folders"], "readwrite");
    await Promise.all([
      ...[...fresh, ...changed].map((record) => db.objectStore("pictures").put(record)),
      ...this.#missingFolders(names).map((name) => db.objectStore("folders").put({ name })),
      db.done,
    ]);
    for (const record of [...fresh, ...changed]) this.pictures.set(record.path, record);
    for (const { path, file } of found) this.#files.set(path, file);
    this.folders = await (await database()).getAll("folders");
    this.changed();
    this.#indexing?.cancel();
    await this.#running;
    this.start();
    return { added: fresh.length, changed: changed.length, removed: gone.length };
  }

  #missingFolders(names: string[]): string[] {
    return [...new Set(names)].filter((name) => !this.folders.some((folder) => folder.name === name));
  }

  /** A batch, all of it or none. */
  async #write(batch: Indexed[], model: Ocelli): Promise<void> {
    const { modelHash } = model.info;
    const db = (await database()).transaction(["pictures", "thumbnails", "embeddings"], "readwrite");
    const writes: Promise<unknown>[] = [];
    for (const { found, thumbnail, embedding, broken } of batch) {
      const { path } = found;
      if (thumbnail) writes.push(db.objectStore("thumbnails").put(thumbnail, path));
      if (embedding) writes.push(db.objectStore("embeddings").put(embedding, [modelHash, path]));
      const known = this.pictures.get(path);
      if (known && broken !== undefined) writes.push(db.objectStore("pictures").put(Object.assign(known, { broken })));
    }
    await Promise.all([...writes, db.done]);
    if (model !== this.#model) return;
    await this.#learn(batch.flatMap(({ found, embedding }) => (embedding && this.pictures.has(found.path) ? [{ path: found.path, embedding }] : [])));
  }

  /** Forgets pictures with all that any model made of them. */
  async #forget(paths: string[]): Promise<void> {
    if (paths.length === 0) return;
    const gone = new Set(paths);
    const db = (await database()).transaction(["pictures", "thumbnails", "embeddings"], "readwrite");
    const keys = (await db.objectStore("embeddings").getAllKeys()).filter(([, path]) => gone.has(path));
    await Promise.all([
      ...paths.flatMap((path) => [db.objectStore("pictures").delete(path), db.objectStore("thumbnails").delete(path)]),
      ...keys.map((key) => db.objectStore("embeddings").delete(key)),
      db.done,
    ]);
    for (const path of paths) {
      this.pictures.delete(path);
      this.#files.delete(path);
      this.index?.remove(path);
    }
    this.changed();
  }

  async #stopped(): Promise<void> {
    this.#indexing?.cancel();
    await this.#running;
  }

  #fail(error: unknown): void {
    this.failed = error;
    this.changed();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => {});
    return mine;
  }
}

export const library = new Library();

/** The first part of a path. */
function folderOf(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

function same(a: PictureRecord, b: PictureRecord): boolean {
  return a.size === b.size && a.modified === b.modified;
}

/** Whether the browser lets this page read a folder; it may ask the user only from a click. */
async function allowed(handle: FileSystemDirectoryHandle, ask: boolean): Promise<boolean> {
  // TypeScript's DOM does not know permissions of handles yet; browsers without them allow what they hand out.
  const { queryPermission, requestPermission } = handle as unknown as Record<string, ((how: object) => Promise<string>) | undefined>;
  if (!queryPermission || !requestPermission) return true;
  const state = await queryPermission.call(handle, { mode: "read" });
  return state === "granted" || (ask && (await requestPermission.call(handle, { mode: "read" })) === "granted");
}
