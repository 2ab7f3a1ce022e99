import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { notice } from "../../parts/notice.ts";
import "../../parts/picture-grid.ts";
import { nameOf } from "../../state/files.ts";
import { collection } from "../../state/library/collection.ts";
import { remembered } from "../../state/store.ts";
import { count } from "../../parts/words.ts";

/** Groups that are drawn at first, and that "Show more groups" adds. */
const STEP = 20;
/** Milliseconds without a change before the collection is compared with itself again. */
const QUIET = 400;

const kept = remembered("tag.duplicates", 0.98);

/** Pictures that are nearly the same, in groups. The comparison is made while this is shown. */
class Duplicates extends Part {
  #groups: string[][] | undefined;
  #failed: unknown;
  #shown = STEP;
  #waiting = 0;
  #busy = false;
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
      ${groups.slice(0, this.#shown).map(
        (group) =>
          html` <section class="group">
            <h3>${count(group.length, "image")}</h3>
            <ocelli-picture-grid
              .label=${`${count(group.length, "image")} like ${nameOf(group[0] ?? "")}`}
              .items=${group.map((path) => ({ path, caption: path }))}
              @pick=${(event: CustomEvent<string>) => this.dispatchEvent(new CustomEvent("pick", { detail: { path: event.detail, paths: group } }))}
            ></ocelli-picture-grid>
          </section>`,
      )}
      ${groups.length > this.#shown ? html`<button type="button" @click=${() => this.#more()}>Show more groups</button>` : nothing}`;
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
