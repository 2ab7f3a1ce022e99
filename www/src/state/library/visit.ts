import { decode } from "../decode.ts";
import { Store } from "../store.ts";
import type { Found } from "../files.ts";
import { collection } from "./collection.ts";

/** The picture files that this visit may read. A browser hands out files for one visit; the collection outlives it. */
class Visit extends Store {
  readonly #files = new Map<string, File>();

  /** The file as it was handed out; it may have changed on the disk since. */
  fileOf(path: string): File | undefined {
    return this.#files.get(path);
  }

  add(found: readonly Found[]): void {
    for (const { path, file } of found) this.#files.set(path, file);
    this.changed();
  }

  forget(paths: readonly string[]): void {
    for (const path of paths) this.#files.delete(path);
    this.changed();
  }

  /** A file that can still be read, or undefined: it may have gone since its folder was read. */
  async readable(path: string): Promise<File | undefined> {
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

  /** The preview that is kept, or one that is drawn of the file. */
  async thumbnail(path: string): Promise<Blob | undefined> {
    const kept = await collection.thumbnail(path);
    const file = this.#files.get(path);
    if (kept || !file) return kept;
    // An imported index brings embeddings without previews.
    const { preview: drawn } = await decode(file);
    if (collection.index?.has(path)) await collection.write({ thumbnails: [{ path, thumbnail: drawn }] });
    return drawn;
  }
}

export const visit = new Visit();
