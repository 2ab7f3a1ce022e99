import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { notice } from "../../parts/notice.ts";
import "../../parts/thumbnail.ts";
import { download } from "../../parts/dom.ts";
import { nameOf } from "../../state/files.ts";
import { collection } from "../../state/library/collection.ts";
import { remembered } from "../../state/store.ts";
import { bytes, count } from "../../parts/words.ts";
import { bestOf } from "./best.ts";
import { bytesOf, listOf } from "./export.ts";

/** Groups that are drawn at first, and that "Show more groups" adds. */
const STEP = 20;
/** Milliseconds without a change before the collection is compared with itself again. */
const QUIET = 400;

const kept = remembered("photos.duplicates", 0.98);

/**
 * Photos that are nearly the same, in groups. Of each the best one is kept, the others are discarded, until the user says otherwise; what
 * is discarded comes on a list, and nothing is ever deleted. The comparison is made while this is shown.
 */
class Duplicates extends Part {
  #groups: string[][] | undefined;
  #failed: unknown;
  #shown = STEP;
  #waiting = 0;
  #busy = false;
  #isCopied = false;
  /** What the user has said of a photo, by path. */
  readonly #kept = new Map<string, boolean>();
  /** Identifies the collection and the threshold of the groups. */
  #of: string | undefined;
  readonly #changed = () => this.#ask();

  override connectedCallback(): void {
    super.connectedCallback();
    collection.addEventListener("change", this.#changed);
    this.#ask();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    collection.removeEventListener("change", this.#changed);
    clearTimeout(this.#waiting);
  }

  protected override render() {
    const threshold = kept.get();
    const groups = this.#groups ?? [];
    const copies = groups.reduce((sum, group) => sum + group.length - 1, 0);
    return html` <div class="slider">
        <label for="alike">Similarity: <output>${percent(threshold)}</output></label>
        <input
          id="alike"
          type="range"
          min="0.9"
          max="1"
          step="0.002"
          .value=${String(threshold)}
          aria-describedby="alike-help"
          @input=${(event: InputEvent) => this.#set(Number((event.target as HTMLInputElement).value))}
        />
        <p id="alike-help" class="small">100% is the same image. Lower it to group more.</p>
      </div>
      <p role="status">
        ${this.#groups ? (groups.length === 0 ? "No near-duplicates at this setting." : `${count(groups.length, "group")} with ${count(copies, "near-copy", "near-copies")}.`) : "Comparing…"}
      </p>
      ${this.#failed ? notice(this.#failed, () => this.#ask(true)) : nothing}
      ${groups.length > 0 ? this.#discards(groups) : nothing}
      ${groups.slice(0, this.#shown).map((group) => this.#group(group))}
      ${groups.length > this.#shown ? html`<button type="button" @click=${() => this.#more()}>Show more groups</button>` : nothing}`;
  }

  #group(group: readonly string[]) {
    const best = bestOf(this.#records(group));
    return html`<section class="group" aria-label=${`${count(group.length, "photo")} like ${nameOf(group[0] ?? "")}`}>
      <ul class="pictures">
        ${group.map((path) => {
          const { width, height, size = 0 } = collection.pictures.get(path) ?? {};
          const keep = this.#keeps(path, best);
          return html`<li class=${keep ? "" : "discarded"}>
            <button
              type="button"
              title=${path}
              data-path=${path}
              @click=${() => this.dispatchEvent(new CustomEvent("pick", { detail: { path, paths: group } }))}
            >
              <ocelli-thumbnail .path=${path} .alt=${nameOf(path)}></ocelli-thumbnail>
              <span class="caption">
                <span class="name">${nameOf(path)}</span>
                <span class="small">${width && height ? `${width} × ${height}, ` : ""}${bytes(size)}</span>
              </span>
            </button>
            <label class="keep">
              <input
                type="checkbox"
                .checked=${keep}
                aria-label=${`Keep ${nameOf(path)}`}
                @change=${(event: Event) => this.#mark(path, (event.target as HTMLInputElement).checked)}
              />
              ${keep ? "Keep" : "Discard"}
            </label>
          </li>`;
        })}
      </ul>
    </section>`;
  }

  /** The list of what is not kept. */
  #discards(groups: readonly string[][]) {
    const paths = groups.flatMap((group) => {
      const best = bestOf(this.#records(group));
      return group.filter((path) => !this.#keeps(path, best));
    });
    return html`<div class="row discards">
      <p class="grow" role="status">
        <b>${count(paths.length, "photo")}</b> to discard, ${bytes(bytesOf(paths))}.
        <span class="small">Ocelli never deletes your files: take the list to where you manage them.</span>
      </p>
      <button
        type="button"
        ?disabled=${paths.length === 0}
        @click=${() => void navigator.clipboard.writeText(paths.join("\n")).then(() => this.#copied())}
      >
        ${this.#isCopied ? "Copied" : "Copy the list"}
      </button>
      <button type="button" ?disabled=${paths.length === 0} @click=${() => download(listOf(paths), "discard.txt")}>
        Save the list
      </button>
    </div>`;
  }

  #records(group: readonly string[]) {
    return group.flatMap((path) => collection.pictures.get(path) ?? []);
  }

  #keeps(path: string, best: string | undefined): boolean {
    return this.#kept.get(path) ?? path === best;
  }

  #mark(path: string, keep: boolean): void {
    this.#kept.set(path, keep);
    this.#isCopied = false;
    this.requestUpdate();
  }

  #copied(): void {
    this.#isCopied = true;
    this.requestUpdate();
  }

  #more(): void {
    this.#shown += STEP;
    this.requestUpdate();
  }

  #set(threshold: number): void {
    kept.set(threshold);
    this.#ask();
    this.requestUpdate();
  }

  #ask(again = false): void {
    if (again) this.#of = undefined;
    clearTimeout(this.#waiting);
    this.#waiting = window.setTimeout(() => void this.#compare(), QUIET);
  }

  async #compare(): Promise<void> {
    const { index } = collection;
    const threshold = kept.get();
    const of = `${index?.modelHash} ${threshold} ${collection.seen.map(({ path, modified }) => `${path} ${modified}`).join("\n")}`;
    if (!index || of === this.#of) return;
    // One at a time; what has changed meanwhile is asked about again.
    if (this.#busy) return this.#ask();
    this.#busy = true;
    try {
      this.#groups = await index.nearDuplicates(threshold);
      this.#of = of;
      this.#failed = undefined;
    } catch (error) {
      if (index === collection.index) this.#failed = error;
    } finally {
      this.#busy = false;
    }
    this.requestUpdate();
  }
}

customElements.define("ocelli-duplicates", Duplicates);

/** "98%", "99.8%". */
function percent(similarity: number): string {
  return `${Number((100 * similarity).toFixed(1))}%`;
}
