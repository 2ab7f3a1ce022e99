import { download } from "../../parts/dom.ts";
import { bytes, count, number } from "../../parts/words.ts";
import { collection } from "../../state/library/collection.ts";
import { visit } from "../../state/library/visit.ts";
import { Store } from "../../state/store.ts";
import { writeBeside } from "./sidecars.ts";
import { tagger } from "./tagger.ts";
import { sidecarOf, xmp } from "./xmp.ts";
import { tooMuch, zipped, type Entry } from "./zip.ts";

/** A list of paths, one a line. */
export function listOf(paths: readonly string[]): Blob {
  return new Blob([paths.map((path) => `${path}\n`).join("")], { type: "text/plain" });
}

/** Bytes of some photos, as their folders say. */
export function bytesOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (collection.pictures.get(path)?.size ?? 0), 0);
}

/** Puts photos and their tags into files, one such work at a time. */
class Exporting extends Store {
  /** How far the work has come, in words; undefined while there is none. */
  at: string | undefined;
  /** What came of the last one. */
  said = "";
  #stop: AbortController | undefined;

  stop(): void {
    this.#stop?.abort();
  }

  /** The files themselves as a ZIP, with their tags beside them if `sidecars`. */
  zip(paths: readonly string[], sidecars: boolean): Promise<void> {
    return this.#work(async (signal) => {
      const wrong = tooMuch(paths.length * (sidecars ? 2 : 1), bytesOf(paths));
      if (wrong) return wrong;
      const files: Entry[] = [];
      const lost: string[] = [];
      for (const path of paths) {
        signal.throwIfAborted();
        const file = await visit.readable(path);
        if (file) files.push({ path, file, modified: file.lastModified });
        else lost.push(path);
      }
      if (files.length === 0) return "None of these files can be read in this visit. Choose their folder again.";
      const all = sidecars ? files.flatMap((one) => [one, ...sidecar(one.path)]) : files;
      const made = await zipped(all, (done) => this.#tell(`${number(done)} of ${number(all.length)} files`), signal);
      download(made, "photos.zip");
      const left =
        lost.length > 0
          ? ` ${count(lost.length, "file")} can't be read and ${lost.length === 1 ? "is" : "are"} left out.`
          : "";
      return `Saved ${count(files.length, "photo")}, ${bytes(made.size)}.${left}`;
    });
  }

  /** The tags alone, as a ZIP of sidecars. */
  zipSidecars(paths: readonly string[]): Promise<void> {
    return this.#work(async (signal) => {
      const all = paths.flatMap(sidecar);
      if (all.length === 0) return "None of these photos has a tag.";
      download(await zipped(all, () => {}, signal), "sidecars.zip");
      return `Saved ${count(all.length, "sidecar")}.`;
    });
  }

  /** Sidecars next to the photos' files, as far as the user allows it. Must be called from a click, where the browser asks. */
  writeSidecars(paths: readonly string[]): Promise<void> {
    return this.#work(async (signal) => {
      const files = paths.flatMap((path) => tagged(path).map((text) => ({ path: sidecarOf(path), text })));
      if (files.length === 0) return "None of these photos has a tag.";
      const { written, there, refused } = await writeBeside(files, collection.folders, signal, (done) =>
        this.#tell(`${number(done)} of ${number(files.length)} sidecars`),
      );
      return [
        `Wrote ${count(written, "sidecar")}.`,
        there > 0 && `${number(there)} existed already and stayed as they are.`,
        refused > 0 && `${number(refused)} couldn't be written: their folder can't be written to.`,
      ]
        .filter(Boolean)
        .join(" ");
    });
  }

  async #work(work: (signal: AbortSignal) => Promise<string>): Promise<void> {
    if (this.at !== undefined) return;
    this.#stop = new AbortController();
    this.said = "";
    this.#tell("Reading…");
    try {
      this.said = await work(this.#stop.signal);
    } catch (error) {
      this.said = this.#stop.signal.aborted ? "Cancelled." : `That didn't work: ${(error as Error).message}`;
    }
    this.at = undefined;
    this.changed();
  }

  #tell(at: string): void {
    this.at = at;
    this.changed();
  }
}

export const exporting = new Exporting();

/** The text of a photo's sidecar; none if it has no tag. */
function tagged(path: string): string[] {
  const tags = tagger.tags(path) ?? [];
  return tags.length > 0 ? [xmp(tags.map(({ label }) => label))] : [];
}

function sidecar(path: string): Entry[] {
  return tagged(path).map((text) => ({ path: sidecarOf(path), file: new Blob([text]), modified: Date.now() }));
}
