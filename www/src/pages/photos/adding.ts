import { Store } from "../../state/store.ts";
import { collection } from "../../state/library/collection.ts";
import { folders, type Difference } from "../../state/library/folders.ts";
import { indexer } from "../../state/library/indexer.ts";
import { number } from "../../parts/words.ts";

/** What a click on a way to photos has led to. */
class Adding extends Store {
  /** What the last look into a folder has found, in words. */
  found = "";
  #failed: unknown;

  /** Why the last click, or the work in the background, failed. */
  get failed(): unknown {
    return this.#failed ?? collection.failed;
  }

  /** Whether the work in the background can be tried again. */
  get again(): (() => void) | undefined {
    if (!collection.failed) return undefined;
    return () => {
      this.dismiss();
      void folders.open().then(() => indexer.start());
    };
  }

  dismiss(): void {
    this.#failed = undefined;
    collection.dismiss();
    this.changed();
  }

  /** Runs the work of a click and keeps its result or its error. */
  ask(work: () => Promise<Difference | undefined | void>): void {
    this.#failed = undefined;
    this.found = "";
    this.changed();
    work()
      .then(
        (difference) => {
          this.found = difference ? words(difference) : "";
          // A collection is work: the browser should not clear it by itself.
          if (difference && difference.added > 0) void navigator.storage?.persist().catch(() => false);
        },
        (error: unknown) => (this.#failed = error),
      )
      .finally(() => this.changed());
  }
}

export const adding = new Adding();

function words({ added, changed, removed }: Difference): string {
  const parts = [
    added > 0 && `${number(added)} new`,
    changed > 0 && `${number(changed)} changed`,
    removed > 0 && `${number(removed)} gone`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : "nothing has changed";
}
