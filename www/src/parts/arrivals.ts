import type { ReactiveController, ReactiveControllerHost } from "lit";

/** Milliseconds without a `dragover`, which comes all the time, until files count as gone again. Firefox leaves 350 between two. */
const LEFT = 500;

/**
 * Files that are dropped anywhere on the page, and pictures that are pasted, while an element is shown. The whole page accepts a drop:
 * what misses a small target would otherwise replace the page.
 */
export class Arrivals implements ReactiveController {
  #over = 0;
  #listening: AbortController | undefined;

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly dropped: (data: DataTransfer) => void,
    private readonly pasted?: (picture: File) => void,
  ) {
    host.addController(this);
  }

  /** Whether files are being dragged over the page. */
  get over(): boolean {
    return this.#over !== 0;
  }

  hostConnected(): void {
    const { signal } = (this.#listening = new AbortController());
    window.addEventListener("dragover", (event) => this.#dragged(event), { signal });
    window.addEventListener("drop", (event) => this.#drop(event), { signal });
    window.addEventListener("paste", (event) => this.#paste(event), { signal });
  }

  hostDisconnected(): void {
    this.#listening?.abort();
    this.#mark(0);
  }

  #dragged(event: DragEvent): void {
    if (!event.dataTransfer?.types.includes("Files")) return; // text may be dropped into the fields
    event.preventDefault();
    this.#mark(window.setTimeout(() => this.#mark(0), LEFT));
  }

  #drop(event: DragEvent): void {
    this.#mark(0);
    const data = event.dataTransfer;
    if (!data?.types.includes("Files")) return;
    event.preventDefault();
    this.dropped(data);
  }

  #paste(event: ClipboardEvent): void {
    const picture = pictureIn(event.clipboardData);
    if (!picture || !this.pasted) return; // text goes where the cursor is
    event.preventDefault();
    this.pasted(picture);
  }

  #mark(over: number): void {
    clearTimeout(this.#over);
    const changed = this.over !== (over !== 0);
    this.#over = over;
    if (changed) this.host.requestUpdate();
  }
}

/** The first picture file among what was dropped or pasted. */
export function pictureIn(data: DataTransfer | null): File | undefined {
  return [...(data?.files ?? [])].find(({ type }) => type.startsWith("image/"));
}
