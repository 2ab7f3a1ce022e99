import type { ImageIndex } from "ocelli/index";
import type { FolderRecord, PictureRecord } from "../db.ts";
import { namedLikePhoto } from "../photo.ts";
import { Store } from "../store.ts";
import { Turns } from "../turns.ts";
import { same } from "./known.ts";
import { Shelf, type Change } from "./shelf.ts";
import { Tabs } from "./tabs.ts";

/** What the index, and a file made of it, says about a picture beside its path. */
export interface Meta {
  /** In bytes. */
  size: number;
  /** In milliseconds since 1970. */
  modified: number;
}

/** A picture's embedding by the model in use. */
export interface Embedded {
  path: string;
  embedding: Float32Array;
}

/** Embeddings that are added to the index before the page gets a chance to answer the user. */
const EMBEDDINGS_AT_A_TIME = 500;

/**
 * The records of the user's folders and pictures, and the index of their embeddings by the model in use. Every change is written
 * to the browser's database and announced to other tabs. One embedding is kept for each model and picture.
 */
class Collection extends Store {
  folders: FolderRecord[] = [];
  /** By path. */
  pictures = new Map<string, PictureRecord>();
  /** Undefined until model and database are ready. */
  index: ImageIndex<Meta> | undefined;
  /** Why work in the background failed: indexing, a look into a folder, a read of the database. */
  failed: unknown;
  /** Jobs that change the collection run one after the other. */
  readonly turns = new Turns();
  readonly #shelf = new Shelf();
  readonly #tabs = new Tabs(() => void this.turns.take(() => this.read()).catch((error: unknown) => this.fail(error)));

  /** Why changes last only until the page is closed; undefined while they are written to the database. */
  get unkept(): unknown {
    return this.#shelf.failed;
  }

  /** Pictures that the model in use has yet to embed. */
  get waiting(): PictureRecord[] {
    return [...this.pictures.values()].filter(({ path, broken }) => broken === undefined && !this.index?.has(path));
  }

  /** Pictures that the model in use has embedded. */
  get seen(): PictureRecord[] {
    return [...this.pictures.values()].filter(({ path }) => this.index?.has(path));
  }

  /** Pictures that cannot be read or decoded. */
  get broken(): PictureRecord[] {
    return [...this.pictures.values()].filter(({ broken }) => broken !== undefined);
  }

  /** Whether some of them look like photos. */
  get hasPhotos(): boolean {
    for (const path of this.pictures.keys()) if (namedLikePhoto(path)) return true;
    return false;
  }

  hasFolder(name: string): boolean {
    return this.folders.some((folder) => folder.name === name);
  }

  /** The preview that is kept of a picture. */
  thumbnail(path: string): Promise<Blob | undefined> {
    return this.#shelf.thumbnail(path);
  }

  /** Reads the database: all of it, or what another tab has changed. */
  async read(): Promise<void> {
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
    for (let at = 0; at < rows.length; at += EMBEDDINGS_AT_A_TIME) {
      await this.embedded(rows.slice(at, at + EMBEDDINGS_AT_A_TIME));
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.changed();
  }

  /** Writes records: all of a change or none of it. Embeddings reach the index by {@link embedded}. */
  async write(change: Change): Promise<void> {
    await this.#shelf.put(change);
    const { folders = [], pictures = [], embeddings = [] } = change;
    const names = new Set(folders.map(({ name }) => name));
    this.folders = [...this.folders.filter(({ name }) => !names.has(name)), ...folders];
    for (const picture of pictures) this.pictures.set(picture.path, picture);
    // A preview alone concerns no other tab.
    if (folders.length + pictures.length + embeddings.length > 0) this.#tabs.tell();
    if (folders.length + pictures.length > 0) this.changed();
  }

  /** Adds embeddings to the index, without those of pictures that were forgotten in the meantime. */
  async embedded(rows: readonly Embedded[]): Promise<void> {
    const { index } = this;
    const known = rows.filter(({ path }) => this.pictures.has(path));
    if (!index || known.length === 0) return;
    for (const { path } of known) index.remove(path);
    const items = known.map(({ path }) => {
      const { size, modified } = this.pictures.get(path) as PictureRecord;
      return { id: path, meta: { size, modified } };
    });
    await index.add(
      items,
      known.map(({ embedding }) => embedding),
    );
    this.changed();
  }

  /** Removes pictures, everything that any model made of them, and folders. */
  async forget(paths: readonly string[], folders: readonly string[] = []): Promise<void> {
    await this.#shelf.forget(paths, folders);
    for (const path of paths) {
      this.pictures.delete(path);
      this.index?.remove(path);
    }
    this.folders = this.folders.filter(({ name }) => !folders.includes(name));
    this.#tabs.tell();
    this.changed();
  }

  /** Takes the index of another model; the one before is disposed of. */
  useIndex(index: ImageIndex<Meta> | undefined): void {
    this.index?.dispose();
    this.index = index;
    this.changed();
  }

  /** Keeps an error of background work for the pages to show. */
  fail(error: unknown): void {
    this.failed = error;
    this.changed();
  }

  /** The error was read, or its work has begun again. */
  dismiss(): void {
    this.fail(undefined);
  }
}

export const collection = new Collection();
