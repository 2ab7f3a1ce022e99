import type { Classification } from "ocelli";
import { LabelList } from "../../state/label-list.ts";
import { collection } from "../../state/library/collection.ts";
import { models } from "../../state/models.ts";
import { remembered, Store } from "../../state/store.ts";

/** Which labels become tags. */
export interface Rule {
  /** All labels that fit, each judged on its own; or the one that fits best. */
  several: boolean;
  /** Least score of a tag, 0 to 1. */
  threshold: number;
}

/** Maximum number of tags of a picture. */
const MOST = 5;
/** Milliseconds of work between two chances for the page to answer a key. */
const SLICE = 8;
/** Milliseconds between two updates of the view while tags are computed. */
const SHOWN = 200;

const kept = remembered<{ several: boolean; thresholds: Record<string, number> }>("tag.rule", {
  several: true,
  thresholds: {},
});

/** The tags of the collection's pictures: kept embeddings beside compiled labels, so no picture runs through the model again. */
class Tagger extends Store {
  readonly labels = new LabelList("tag");
  /** By path; `of` is the round and the state of the file that they are of. */
  readonly #tags = new Map<string, { tags: Classification[]; of: string }>();
  #busy = false;
  #again = false;
  #round = 0;
  #judgedBy: unknown[] = [];

  constructor() {
    super();
    for (const store of [collection, this.labels, models]) store.addEventListener("change", () => this.#ask());
  }

  get rule(): Rule {
    const { several } = kept.get();
    return { several, threshold: kept.get().thresholds[this.#kind(several)] ?? this.#usual(several) };
  }

  write(rule: Partial<Rule>): void {
    const { several, thresholds } = kept.get();
    const next = rule.several ?? several;
    kept.set({
      several: next,
      thresholds: rule.threshold === undefined ? thresholds : { ...thresholds, [this.#kind(next)]: rule.threshold },
    });
    this.#ask();
    this.changed();
  }

  /** The tags of a picture, best first; undefined until they are computed. */
  tags(path: string): readonly Classification[] | undefined {
    return this.#tags.get(path)?.tags;
  }

  /** All labels for a picture, best first; none while there are no labels or no embedding. */
  all(path: string): Classification[] {
    const vector = this.#ready() && collection.index?.vector(path);
    const { several } = this.rule;
    return (vector && this.labels.set?.score(vector, several ? { multiLabel: true, threshold: 0 } : {})) || [];
  }

  /** Whether some tags are of earlier labels or an earlier rule. */
  get behind(): boolean {
    return this.#busy || this.labels.behind;
  }

  #kind(several: boolean): string {
    return `${several ? "several" : "best"} ${models.info?.defaultScore ?? ""}`;
  }

  /** SigLIP's numbers are small by nature; CLIP's 50 % says that a label fits as well as anything. */
  #usual(several: boolean): number {
    if (!several) return 0;
    return models.info?.defaultScore === "sigmoid" ? 0.1 : 0.6;
  }

  /** Whether labels and embeddings are both of the model in use. */
  #ready(): boolean {
    return (
      this.labels.set !== undefined && !this.labels.behind && collection.index?.modelHash === models.info?.modelHash
    );
  }

  #ask(): void {
    this.#again = true;
    if (!this.#busy) void this.#judge();
  }

  async #judge(): Promise<void> {
    this.#busy = true;
    while (this.#again) {
      this.#again = false;
      if (!this.#ready()) break;
      const todo = this.#stale();
      let until = performance.now() + SLICE;
      let shown = performance.now() + SHOWN;
      for (const [path, of] of todo) {
        const vector = collection.index?.vector(path);
        if (vector) this.#tags.set(path, { tags: this.#tagsOf(vector), of });
        if (performance.now() < until) continue;
        await new Promise((resolve) => setTimeout(resolve));
        // Labels and pictures may have changed: what is judged by now stays.
        if (this.#again) break;
        const now = performance.now();
        until = now + SLICE;
        if (now < shown) continue;
        shown = now + SHOWN;
        this.changed();
      }
    }
    this.#busy = false;
    this.changed();
  }

  #tagsOf(vector: Float32Array): Classification[] {
    const { several, threshold } = this.rule;
    return (
      this.labels.set?.score(vector, several ? { multiLabel: true, threshold, topK: MOST } : { threshold, topK: 1 }) ??
      []
    );
  }

  /** Pictures that are new or were judged otherwise, with what their tags will be of. */
  #stale(): [path: string, of: string][] {
    const { several, threshold } = this.rule;
    const by = [this.labels.set, collection.index, several, threshold];
    if (by.some((one, i) => one !== this.#judgedBy[i])) {
      this.#judgedBy = by;
      this.#round++;
    }
    for (const path of this.#tags.keys()) if (!collection.index?.has(path)) this.#tags.delete(path);
    return collection.seen
      .map(({ path, modified }): [string, string] => [path, `${this.#round} ${modified}`])
      .filter(([path, of]) => this.#tags.get(path)?.of !== of);
  }
}

export const tagger = new Tagger();
