import type { Classification, Ocelli } from "ocelli";
import { usual, type Shown } from "../../parts/scale.ts";
import { LabelList } from "../../state/label-list.ts";
import { models } from "../../state/models.ts";
import type { Picture } from "../../state/picture.ts";
import { shown } from "../../state/shown.ts";
import { remembered, Store } from "../../state/store.ts";

/** The scores of a picture's labels. */
export interface Answer {
  rows: readonly Classification[];
  score: Shown;
  /** The prompt, or the name of the set of prompts, that the labels were put into. */
  template: string;
  /** Whether the best label reaches its usual score by the model's own rule, whatever score is shown. */
  sure: boolean;
}

/** Times of the model in use, in milliseconds, over the pictures that it was given. */
export interface Runs {
  count: number;
  first: number | undefined;
  last: number | undefined;
}

interface Settings {
  /** The score to show; undefined for the model's own. */
  score?: Shown;
  /** Threshold of each score, in its own unit. */
  thresholds: Partial<Record<Shown, number>>;
}

const none: Runs = { count: 0, first: undefined, last: undefined };

/**
 * What the labels say to the picture of the page. A model runs once for each picture; labels, score and threshold are judged by
 * its embedding.
 */
class Judge extends Store {
  readonly list = new LabelList("classify");
  readonly #settings = remembered<Settings>("classify", { thresholds: {} });
  #seen: { picture: Picture; model: Ocelli; embedding: Float32Array } | undefined;
  #failed: { picture: Picture; model: Ocelli; error: unknown } | undefined;
  #answer: Answer | undefined;
  #open = false;
  #running = false;
  #runs = none;
  #runsOf: Ocelli | undefined;

  constructor() {
    super();
    this.list.addEventListener("change", () => this.#rank());
    for (const store of [models, shown])
      store.addEventListener("change", () => {
        void this.#embed();
        this.changed();
      });
  }

  /** Whether anyone looks at the answer; nothing is computed otherwise. */
  set open(open: boolean) {
    this.#open = open;
    void this.#embed();
  }

  /** The last answer, also while the next one is computed. Undefined before the first one, and after an error. */
  get answer(): Answer | undefined {
    return this.failed ? undefined : this.#answer;
  }

  /** Whether the answer is of an earlier picture or of earlier labels. */
  get old(): boolean {
    return !this.#isSeen() || this.list.behind;
  }

  /** Whether a newer answer is being computed. */
  get waiting(): boolean {
    const { wrong, failed } = this.list;
    return this.old && Object.keys(wrong).length === 0 && !failed && !this.failed && !(models.failed && !models.model);
  }

  /** Why the model could not read the picture. */
  get failed(): unknown {
    return this.#hasFailed() ? this.#failed?.error : undefined;
  }

  again(): void {
    this.#failed = undefined;
    void this.#embed();
  }

  get runs(): Runs {
    return this.#runsOf === models.model ? this.#runs : none;
  }

  get score(): Shown {
    return this.#settings.get().score ?? models.info?.defaultScore ?? "softmax";
  }

  set score(score: Shown) {
    this.#settings.set({ ...this.#settings.get(), score });
    this.#rank();
  }

  /** Labels that score less are dimmed; undefined if none is. */
  get threshold(): number | undefined {
    return this.#settings.get().thresholds[this.score];
  }

  set threshold(threshold: number | undefined) {
    const { [this.score]: _, ...others } = this.#settings.get().thresholds;
    const thresholds = threshold === undefined ? others : { ...others, [this.score]: threshold };
    this.#settings.set({ ...this.#settings.get(), thresholds });
    this.changed();
  }

  #isSeen(): boolean {
    return this.#seen !== undefined && this.#seen.picture === shown.picture && this.#seen.model === models.model;
  }

  #hasFailed(): boolean {
    return this.#failed !== undefined && this.#failed.picture === shown.picture && this.#failed.model === models.model;
  }

  /** One run at a time, since none can be called back; of several pictures that wait for it only the last is run. */
  async #embed(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#open && models.model && shown.picture && !this.#isSeen() && !this.#hasFailed())
      await this.#run(models.model, shown.picture);
    this.#running = false;
  }

  async #run(model: Ocelli, picture: Picture): Promise<void> {
    const start = performance.now();
    try {
      const embedding = await model.embedImage(picture.blob);
      this.#seen = { picture, model, embedding };
      this.#count(model, performance.now() - start);
    } catch (error) {
      this.#failed = { picture, model, error };
    }
    this.#rank();
  }

  #count(model: Ocelli, milliseconds: number): void {
    const { count, first } = this.#runsOf === model ? this.#runs : none;
    this.#runsOf = model;
    this.#runs = { count: count + 1, first: first ?? milliseconds, last: milliseconds };
  }

  #rank(): void {
    const { set, model, behind, text } = this.list;
    if (set && this.#seen && this.#isSeen() && this.#seen.model === model) {
      const { score } = this;
      const template = behind && this.#answer ? this.#answer.template : text.template;
      const { embedding } = this.#seen;
      const rule = model?.info.defaultScore === "sigmoid" ? "sigmoid" : "softmax";
      const [best] = set.score(embedding, { score: rule, topK: 1 });
      const sure = best !== undefined && best.score >= usual(rule, this.list.names.length);
      this.#answer = { rows: set.score(embedding, { score }), score, template, sure };
    }
    this.changed();
  }
}

export const judge = new Judge();
