import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import { OcelliError } from "../error.js";
import { Rows } from "./rows.js";
import type { IndexFormat, Item } from "./types.js";

/** Rows in a chunk. A save writes only the chunks that have changed. */
const CHUNK = 1024;

/** Everything of an index except its rows. */
export interface Head {
  /** Random for each save, so that an instance notices that another one has written. */
  stamp: string;
  dim: number;
  format: IndexFormat;
  modelHash: string;
  /** The item of each row; undefined if it was removed. */
  items: (Item<unknown> | undefined)[];
}

interface Schema extends DBSchema {
  heads: { key: string; value: Head };
  rows: { key: [name: string, chunk: number]; value: { bytes: Uint8Array; scales: Float32Array } };
}

/** The state of the browser's storage after the last save or load. */
export interface Saved {
  name: string;
  stamp: string;
  generation: number;
  count: number;
}

/** Writes an index, and of its rows only those that have changed since `last`. */
export async function save(
  name: string,
  head: Omit<Head, "stamp">,
  rows: Rows,
  last: Saved | undefined,
): Promise<Saved> {
  const { count, generation } = rows;
  const stamp = crypto.randomUUID();
  await storage(`save("${name}")`, async (db) => {
    const transaction = db.transaction(["heads", "rows"], "readwrite");
    const [heads, chunks] = [transaction.objectStore("heads"), transaction.objectStore("rows")];
    const before = (await heads.get(name))?.stamp;
    const same = last && last.name === name && last.stamp === before && last.generation === generation;
    const number = Math.ceil(count / CHUNK);
    const writes: Promise<unknown>[] = [chunks.delete(IDBKeyRange.bound([name, number], [name, Infinity]))];
    for (let chunk = same ? Math.floor(last.count / CHUNK) : 0; chunk < number; chunk++) {
      const [first, end] = [chunk * CHUNK, Math.min((chunk + 1) * CHUNK, count)];
      // Copies: of a view, the whole buffer would be kept.
      writes.push(
        chunks.put({ bytes: rows.bytes(first, end).slice(), scales: rows.scales(first, end).slice() }, [name, chunk]),
      );
    }
    writes.push(heads.put({ ...head, stamp }, name), transaction.done);
    await Promise.all(writes);
  });
  return { name, stamp, generation, count };
}

/** Reads the index that was saved under a name. */
export async function load(name: string): Promise<{ head: Head; rows: Rows; saved: Saved }> {
  return storage(`load("${name}")`, async (db) => {
    const transaction = db.transaction(["heads", "rows"]);
    const head = await transaction.objectStore("heads").get(name);
    if (!head)
      throw new OcelliError(
        "not-found",
        `load("${name}"): expected an index of this name in this site's storage, found none: make and save one.`,
      );
    const rows = new Rows(head.dim, head.format);
    for (const { bytes, scales } of await transaction
      .objectStore("rows")
      .getAll(IDBKeyRange.bound([name, 0], [name, Infinity]))) {
      rows.pushKept(bytes, scales);
    }
    return { head, rows, saved: { name, stamp: head.stamp, generation: rows.generation, count: rows.count } };
  });
}

/** Deletes an index; a name without one is no error. */
export async function remove(name: string): Promise<void> {
  await storage(`delete("${name}")`, async (db) => {
    const transaction = db.transaction(["heads", "rows"], "readwrite");
    await Promise.all([
      transaction.objectStore("heads").delete(name),
      transaction.objectStore("rows").delete(IDBKeyRange.bound([name, 0], [name, Infinity])),
      transaction.done,
    ]);
  });
}

/** Opens the database of this site for `work`, and closes it afterwards. */
async function storage<T>(what: string, work: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
  let db: IDBPDatabase<Schema> | undefined;
  try {
    db = await openDB<Schema>("ocelli-index", 1, {
      upgrade(fresh) {
        fresh.createObjectStore("heads");
        fresh.createObjectStore("rows");
      },
    });
    return await work(db);
  } catch (cause) {
    if (cause instanceof OcelliError) throw cause;
    throw new OcelliError(
      "storage",
      `${what}: the browser's storage failed (${String(cause)}): it may be full, or forbidden in a private window; export() needs none.`,
      { cause },
    );
  } finally {
    db?.close();
  }
}
