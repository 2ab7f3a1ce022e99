import { openDB, type DBSchema, type IDBPDatabase } from "idb";

/** A folder or a pick of single pictures. */
export interface FolderRecord {
  name: string;
  /** The handle by which the browser can read the folder again; without one, the user picks it again. */
  handle?: FileSystemDirectoryHandle;
}

/** A picture of the collection. Its embedding may still be missing. */
export interface PictureRecord {
  /** `folder/sub/name.jpg`: its name in the whole app. */
  path: string;
  folder: string;
  /** Size in bytes, and the date in milliseconds since 1970. A file that differs in either has changed. */
  size: number;
  modified: number;
  /** When the camera took it, in milliseconds since 1970; undefined where the file does not say, or was not looked into yet. */
  taken?: number;
  /** In pixels; undefined until it is decoded. */
  width?: number;
  height?: number;
  /** Why the picture cannot be read; undefined if it can. */
  broken?: string;
}

/** A label list with a name. */
export interface ListRecord {
  name: string;
  labels: string;
  /** Undefined for the one that suits the model in use. */
  template?: string | undefined;
}

/** A picture by which a label is taught. */
export interface ExampleRecord {
  id: string;
  label: string;
  picture: Blob;
}

/** All that the app keeps, apart from the models' files, which the package keeps. */
export interface Schema extends DBSchema {
  folders: { key: string; value: FolderRecord };
  pictures: { key: string; value: PictureRecord; indexes: { folder: string } };
  thumbnails: { key: string; value: Blob };
  embeddings: { key: [modelHash: string, path: string]; value: Float32Array };
  lists: { key: string; value: ListRecord };
  examples: { key: string; value: ExampleRecord };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

/** The app's database, opened once. */
export function database(): Promise<IDBPDatabase<Schema>> {
  // A browser that forbids it may throw at once.
  opened ??= Promise.resolve().then(() =>
    openDB<Schema>("ocelli-app", 1, {
      upgrade(db) {
        db.createObjectStore("folders", { keyPath: "name" });
        db.createObjectStore("pictures", { keyPath: "path" }).createIndex("folder", "folder");
        db.createObjectStore("thumbnails");
        db.createObjectStore("embeddings");
        db.createObjectStore("lists", { keyPath: "name" });
        db.createObjectStore("examples", { keyPath: "id" });
      },
      terminated() {
        opened = undefined;
      },
    }),
  );
  opened.catch(() => (opened = undefined));
  return opened;
}
