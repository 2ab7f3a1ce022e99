import type { Ocelli } from "ocelli";
import { ImageIndex, type IndexFile } from "ocelli/index";
import type { FolderRecord, PictureRecord } from "./db.ts";
import { allowed, folderOf, thumbnail, walk, type Found } from "./files.ts";
import { Indexing, type Indexed, type Progress } from "./indexing.ts";
import { asFolder, asSingles, differences, same, stateOf } from "./known.ts";
import { models } from "./models.ts";
import { Shelf } from "./shelf.ts";
import { Store } from "./store.ts";
import { oneTab, Tabs } from "./tabs.ts";

/** What a look into a folder has found, beside what was known of it. */
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

/** Embeddings that go into the index between two chances for the page to answer. */
const LEARNT = 500;

/**
 * The user's collection: pictures by their paths, with what the model in use makes of them. Everything is written to the browser's
 * database batch by batch, so a visit that ends goes on where it was. One embedding is kept for each model and picture.
 */
class Library extends Store {
  folders: FolderRecord[] = [];
  pictures = new Map<string, PictureRecord>();
  /** The embeddings that the model in use has made; undefined until model and database are here. */
  index: ImageIndex<Meta> | undefined;
  /** Why the indexing, or a look into a folder, failed. */
  failed: unknown;
  /** The folder that is looked through, and how many pictures it has so far. */
  scanning: { folder: string; found: number } | undefined;
  /** Another tab is indexing; this one goes on when that one ends. */
  elsewhere = false;
  readonly #shelf = new Shelf();
  readonly #tabs = new Tabs(() => void this.#inTurn(() => this.#read()).catch((error: unknown) => this.#fail(error)));
  #indexing: Indexing | undefined;
  #running: Promise<void> = Promise.resolve();
  /** The user has had enough; nothing begins by itself. */
  #halted = false;
  /** Files that this visit may read, by path. */
  readonly #files = new Map<string, File>();
  #opened: Promise<void> | undefined;
  #model: Ocelli | undefined;
  /** What changes the collection takes turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor() {
    super();
    models.addEventListener("change", () => void this.#adopt());
  }

  /** Reads what is kept, once; pages call it when they are first shown. */
  open(): Promise<void> {
    return (this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      this.#fail(error);
    }));
  }

  /** Of the indexing that is under way. */
  get progress(): Progress | undefined {
    return this.#indexing?.progress;
  }

  /** Why what comes now is forgotten when the page is closed; undefined while all is kept. */
  get unkept(): unknown {
    return this.#shelf.failed;
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
    const kept = await this.#shelf.thumbnail(path);
    const file = this.#files.get(path);
    if (kept || !file) return kept;
    // Of a picture that came with an imported index.
    const made = await thumbnail(file);
    if (this.index?.has(path)) await this.#shelf.put({ thumbnails: [{ path, thumbnail: made }] });
    return made;
  }

  /** The picture itself, if this visit may read it; it may have gone since its folder was read. */
  async file(path: string): Promise<File | undefined> {
    const file = this.#files.get(path);
    return (await file
      ?.slice(0, 1)
      .arrayBuffer()
      .then(
        () => true,
        () => false,
      ))
      ? file
      : undefined;
  }

  /** Takes a folder that the browser can read again, and all pictures in it. */
  async addFolder(handle: FileSystemDirectoryHandle): Promise<Difference> {
    await this.open();
    const known = await this.#knownAs(handle);
    const all = await this.#walk(handle, known ?? handle.name);
    if (all.length === 0 && known === undefined)
      throw new Error(`There is no picture in “${handle.name}”. Pick a folder that holds some.`);
    return this.#inTurn(async () => {
      const { name, found } =
        known === undefined
          ? asFolder(all, handle.name, true, this.folders, this.pictures)
          : { name: known, found: all };
      await this.#put({ name, handle });
      return this.#take(found, [name], true);
    });
  }

  /** Takes files that the user has picked; what is missing of a folder that was picked as a `whole` has gone. */
  async addFiles(all: readonly Found[], whole: boolean): Promise<Difference> {
    await this.open();
    return this.#inTurn(() => {
      if (!whole) return this.#take(asSingles(all, this.pictures), [], true);
      const names = [...new Set(all.map(({ path }) => folderOf(path)))];
      const folders = names.map((own) =>
        asFolder(
          all.filter(({ path }) => folderOf(path) === own),
          own,
          false,
          this.folders,
          this.pictures,
        ),
      );
      return this.#take(
        folders.flatMap(({ found }) => found),
        folders.map(({ name }) => name),
        true,
      );
    });
  }

  /** Looks again into a folder. Must be called from a click where the browser asks for permission. */
  async refresh(folder: FolderRecord): Promise<Difference> {
    const { handle, name } = folder;
    if (!handle) throw new Error(`The browser cannot read “${name}” again by itself. Pick the folder once more.`);
    if (!(await allowed(handle, true)))
      throw new Error(
        `The browser was not allowed to read “${name}”. Try again and allow it, or pick the folder once more.`,
      );
    const found = await this.#walk(handle, name);
    return this.#inTurn(() => this.#take(found, [name], true));
  }

  /** Forgets a folder with all its pictures; the files themselves stay where they are. */
  remove(folder: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#stopped();
      await this.#forget(
        [...this.pictures.values()].filter((one) => one.folder === folder).map(({ path }) => path),
        [folder],
      );
      this.#go();
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
    this.#halted = true;
    this.#indexing?.cancel();
  }

  /** Goes on with all that waits and that this visit may read. */
  start(): void {
    this.#halted = false;
    this.#go();
  }

  /** Those of the waiting that this visit may read. */
  get ready(): Found[] {
    return this.waiting.flatMap((known) => {
      const file = this.#files.get(known.path);
      return file && same(known, stateOf(file)) ? [{ path: known.path, file }] : [];
    });
  }

  /** Tries the broken ones again. */
  retry(): Promise<void> {
    return this.#inTurn(async () => {
      const records = this.broken.map(({ broken: _, ...record }) => record);
      await this.#shelf.put({ pictures: records });
      this.#know(records);
      this.start();
    });
  }

  /** What was said of a failure is read. */
  dismiss(): void {
    this.failed = undefined;
    this.changed();
  }

  /** Vectors with their paths, for NumPy and the like: see `ImageIndex.export`. */
  export(kind: IndexFile = "safetensors"): Blob {
    if (!this.index) throw new Error("There is nothing to export yet.");
    return this.index.export(kind);
  }

  /** Takes the vectors of such a file, also of pictures that are in no folder here: their previews come with the folder. Returns how many. */
  async import(file: Blob): Promise<number> {
    await this.open();
    return this.#inTurn(async () => {
      const model = this.#model;
      if (!model || !this.index) throw new Error("The model is not here yet. Wait until it is loaded, then try again.");
      const from = await ImageIndex.import<Meta>(file, { model, format: "f32", backend: "cpu" });
      const rows = from.items().flatMap(({ id: path, meta }) => {
        const known = this.pictures.get(path);
        const record = {
          path,
          folder: folderOf(path),
          size: meta?.size ?? known?.size ?? 0,
          modified: meta?.modified ?? known?.modified ?? 0,
        };
        // What differs is of another state of the file.
        const takes = known ? same(known, record) && !this.index?.has(path) : true;
        return takes ? [{ record, embedding: from.vector(path) as Float32Array }] : [];
      });
      from.dispose();
      const records = rows.map(({ record }) => record);
      const embeddings = rows.map(({ record: { path }, embedding }) => ({
        path,
        modelHash: model.info.modelHash,
        embedding,
      }));
      const folders = [...new Set(records.map(({ folder }) => folder))]
        .filter((name) => !this.#has(name))
        .map((name) => ({ name }));
      await this.#shelf.put({ folders, pictures: records, embeddings });
      this.folders = [...this.folders, ...folders];
      this.#know(records);
      await this.#learn(embeddings);
      this.#tabs.tell();
      return rows.length;
    });
  }

  async #open(): Promise<void> {
    await this.#inTurn(() => this.#read());
    await this.#adopt(true);
    // What the browser may read without asking is looked at again.
    for (const { name, handle } of this.folders) {
      if (handle && (await allowed(handle, false)))
        void this.#again(name, handle).catch((error: unknown) => this.#fail(error));
    }
  }

  async #again(name: string, handle: FileSystemDirectoryHandle): Promise<void> {
    const found = await this.#walk(handle, name);
    await this.#inTurn(() => this.#take(found, [name], false));
  }

  /** Another model: its own embeddings, as far as there are any. */
  async #adopt(opening = false): Promise<void> {
    const { model } = models;
    if ((!this.#opened && !opening) || !model || model === this.#model) return;
    this.#model = model;
    this.index?.dispose();
    this.index = undefined;
    this.#indexing?.cancel();
    this.changed();
    await this.#inTurn(async () => {
      await this.#stopped();
      const index = await ImageIndex.create<Meta>({ model, format: "f32" });
      if (model !== this.#model) return index.dispose();
      this.index = index;
      await this.#read();
      this.#go();
    }).catch((error: unknown) => this.#fail(error));
  }

  /** Takes over what is kept, all of it or what another tab has changed. */
  async #read(): Promise<void> {
    const { index } = this;
    const { folders, pictures, seen } = await this.#shelf.read(index?.modelHash);
    this.folders = folders;
    this.pictures = new Map(pictures.map((picture) => [picture.path, picture]));
    for (const { id, meta } of index?.items() ?? []) {
      const known = this.pictures.get(id);
      if (!known || !meta || !same(known, meta)) index?.remove(id);
    }
    const fresh = seen.filter((path) => this.pictures.has(path) && !index?.has(path));
    const vectors = index?.modelHash && fresh.length > 0 ? await this.#shelf.embeddings(index.modelHash, fresh) : [];
    const rows = vectors.flatMap((embedding, i) => (embedding ? [{ path: fresh[i] as string, embedding }] : []));
    for (let at = 0; at < rows.length; at += LEARNT) {
      await this.#learn(rows.slice(at, at + LEARNT).filter(({ path }) => this.pictures.has(path)));
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.changed();
  }

  /** Begins with what waits, if nobody has begun yet. */
  #go(): void {
    const model = this.#model;
    if (!model || !this.index || this.#indexing || this.#halted || this.ready.length === 0) return;
    const mine = (this.#indexing = new Indexing(
      model,
      (batch) => this.#write(batch, model),
      () => this.changed(),
    ));
    this.failed = undefined;
    this.changed();
    const waits = (is: boolean) => {
      this.elsewhere = is;
      this.changed();
    };
    this.#running = oneTab(mine.signal, waits, async (waited) => {
      // What the other tab has done in the meantime is done.
      if (waited) await this.#read();
      await mine.run(this.ready);
    })
      .catch((error: unknown) => {
        if (model === this.#model && (error as { code?: string }).code !== "disposed") this.#fail(error);
      })
      .finally(() => {
        this.#indexing = undefined;
        this.changed();
        // What has come meanwhile.
        if (!mine.signal.aborted && this.failed === undefined) this.#go();
      });
  }

  async #stopped(): Promise<void> {
    this.#indexing?.cancel();
    await this.#running;
  }

  /** Puts embeddings into the index. */
  async #learn(rows: readonly { path: string; embedding: Float32Array }[]): Promise<void> {
    const { index } = this;
    if (!index || rows.length === 0) return;
    for (const { path } of rows) index.remove(path);
    const items = rows.map(({ path }) => {
      const { size, modified } = this.pictures.get(path) as PictureRecord;
      return { id: path, meta: { size, modified } };
    });
    await index.add(
      items,
      rows.map(({ embedding }) => embedding),
    );
    this.changed();
  }

  /** Compares what was found with what is known, writes it down, and begins with what is new. */
  async #take(found: readonly Found[], wholeFolders: readonly string[], asked: boolean): Promise<Difference> {
    const { gone, fresh, changed } = differences(found, wholeFolders, this.pictures);
    // What is under way is perhaps of a file that has changed; what is new is counted with the rest.
    if (gone.length + changed.length + fresh.length > 0) await this.#stopped();
    if (gone.length + changed.length > 0) await this.#forget([...gone, ...changed.map(({ path }) => path)]);
    for (const { path, file } of found) this.#files.set(path, file);
    await this.#put(
      ...[...new Set(fresh.map(({ folder }) => folder))].filter((name) => !this.#has(name)).map((name) => ({ name })),
    );
    await this.#shelf.put({ pictures: [...fresh, ...changed] });
    this.#know([...fresh, ...changed]);
    this.#tabs.tell();
    if (asked) this.start();
    else this.#go();
    return { added: fresh.length, changed: changed.length, removed: gone.length };
  }

  /** A batch, all of it or none; not what was forgotten or has changed in the meantime. */
  async #write(batch: Indexed[], model: Ocelli): Promise<void> {
    const still = batch.filter(({ found: { path, file } }) => {
      const known = this.pictures.get(path);
      return known && same(known, stateOf(file));
    });
    const { modelHash } = model.info;
    const pictures = still.flatMap(({ found: { path }, broken }) =>
      broken === undefined ? [] : [{ ...(this.pictures.get(path) as PictureRecord), broken }],
    );
    const embeddings = still.flatMap(({ found: { path }, embedding }) =>
      embedding ? [{ path, modelHash, embedding }] : [],
    );
    const thumbnails = still.flatMap(({ found: { path }, thumbnail }) => (thumbnail ? [{ path, thumbnail }] : []));
    await this.#shelf.put({ pictures, thumbnails, embeddings });
    this.#know(pictures);
    this.#tabs.tell();
    if (model === this.#model) await this.#learn(embeddings.filter(({ path }) => this.pictures.has(path)));
  }

  async #forget(paths: string[], folders: string[] = []): Promise<void> {
    await this.#shelf.forget(paths, folders);
    for (const path of paths) {
      this.pictures.delete(path);
      this.#files.delete(path);
      this.index?.remove(path);
    }
    this.folders = this.folders.filter(({ name }) => !folders.includes(name));
    this.#tabs.tell();
    this.changed();
  }

  async #put(...folders: FolderRecord[]): Promise<void> {
    if (folders.length === 0) return;
    await this.#shelf.put({ folders });
    const names = new Set(folders.map(({ name }) => name));
    this.folders = [...this.folders.filter(({ name }) => !names.has(name)), ...folders];
    this.changed();
  }

  #know(records: readonly PictureRecord[]): void {
    for (const record of records) this.pictures.set(record.path, record);
    if (records.length > 0) this.changed();
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
        `The folder “${name}” cannot be read (${String(cause)}). Is it still there? What is known of it stays.`,
        { cause },
      );
    } finally {
      this.scanning = undefined;
      this.changed();
    }
  }

  #has(folder: string): boolean {
    return this.folders.some(({ name }) => name === folder);
  }

  /** The name of a folder that is here already, by its handle. */
  async #knownAs(handle: FileSystemDirectoryHandle): Promise<string | undefined> {
    for (const { name, handle: known } of this.folders)
      if (known && (await known.isSameEntry(handle).catch(() => false))) return name;
    return undefined;
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
