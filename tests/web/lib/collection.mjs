// A collection of pictures for the app's pages: drawn once, put where a page can pick it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { scenes } from "./scenes.mjs";

const samples = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www", "samples");

/** `count` drawn pictures: `{ name, shows, bytes }`. */
export const drawn = (count) => [...scenes(samples, count)];

/** A folder on disk, named `name`, with these files, until the program ends; for an `<input webkitdirectory>`. */
export function onDisk(name, files) {
  const place = mkdtempSync(join(tmpdir(), "ocelli-pictures-"));
  process.on("exit", () => rmSync(place, { recursive: true, force: true }));
  const folder = join(place, name);
  for (const { name, bytes } of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

/** Puts files into a folder of the page's own file system, whose handles are as real as those of a picker. */
export async function inOrigin(page, folder, files) {
  const plain = files.map(({ name, bytes }) => ({ name, text: Buffer.from(bytes).toString("base64") }));
  await page.evaluate(
    async ({ folder, plain }) => {
      let into = await navigator.storage.getDirectory();
      for (const name of folder.split("/")) into = await into.getDirectoryHandle(name, { create: true });
      for (const { name, text } of plain) {
        const file = await into.getFileHandle(name, { create: true });
        const stream = await file.createWritable();
        await stream.write(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
        await stream.close();
      }
    },
    { folder, plain },
  );
}

/** For a page's start: the folder picker gives the folder of the page's own file system that `globalThis.folderToPick` names. */
export function pickOrigin() {
  globalThis.showDirectoryPicker = async () => {
    let folder = await navigator.storage.getDirectory();
    for (const name of globalThis.folderToPick.split("/")) folder = await folder.getDirectoryHandle(name);
    return folder;
  };
}

/** For a page's start: a browser that has no folder picker. */
export function withoutPicker() {
  delete globalThis.showDirectoryPicker;
}

/** For a page's start: `globalThis.embedded` lists the paths of the embeddings that this page has written. */
export function countEmbeddings() {
  globalThis.embedded = [];
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (value, key) {
    if (this.name === "embeddings") globalThis.embedded.push(key[1]);
    return put.apply(this, arguments);
  };
}

/** Paths of the embeddings in the app's database, for all models. */
export function keptEmbeddings(page) {
  return page.evaluate(async () => {
    const db = await new Promise((resolve, reject) => {
      const request = indexedDB.open("ocelli-app");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const keys = await new Promise((resolve, reject) => {
      const request = db.transaction("embeddings").objectStore("embeddings").getAllKeys();
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    db.close();
    return keys.map(([, path]) => path);
  });
}

/** Drops or pastes a file, `{ name, mimeType, buffer }`, onto an element, which is the whole page if nothing else is said. */
export function arrive(page, kind, { name, mimeType, buffer }, onto = "main") {
  return page.evaluate(
    ([kind, name, type, text, onto]) => {
      const data = new DataTransfer();
      data.items.add(
        new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name, { type, lastModified: 1 }),
      );
      const how = { bubbles: true, cancelable: true };
      const events =
        kind === "drop"
          ? ["dragover", "drop"].map((kind) => new DragEvent(kind, { ...how, dataTransfer: data }))
          : [new ClipboardEvent(kind, { ...how, clipboardData: data })];
      for (const event of events) document.querySelector(onto).dispatchEvent(event);
    },
    [kind, name, mimeType, buffer.toString("base64"), onto],
  );
}
