import type { LabelSet, Ocelli } from "ocelli";
import { best7, imagenet80 } from "ocelli/templates";
import type { ListRecord } from "./db.ts";
import { usualPrompt } from "./catalog.ts";
import { examples } from "./examples.ts";
import { models } from "./models.ts";
import { remembered, Store } from "./store.ts";

/** Named sets of prompts. A list has the name of a set, or a prompt of the user's own with {} where the label belongs. */
export const templateSets: Record<string, readonly string[]> = {
  "Average of 7 prompts": best7,
  "Average of 80 prompts": imagenet80,
};

/** A list of labels as the user typed it. */
export interface ListText {
  /** One per line or with commas between, as typed. */
  labels: string;
  /** Undefined for the one that suits the model in use: {@link usualPrompt}. */
  template?: string | undefined;
}

const startsWith: ListText = {
  labels:
    "dog, cat, elephant, banana, pizza, castle, airplane, umbrella, guitar, key, bicycle, octopus, rocket, cactus, violin, tractor",
};

/** Lists that the app suggests. */
export const suggestions: readonly ListRecord[] = [
  { name: "Things", ...startsWith },
  {
    name: "Food",
    labels:
      "pizza, hamburger, salad, banana, apple, cake, ice cream, bread, cheese, coffee, soup, sushi, egg, grapes, strawberry",
  },
  {
    name: "Animals",
    labels:
      "dog, cat, horse, cow, elephant, lion, penguin, owl, fish, octopus, bee, butterfly, snake, frog, rabbit, sheep",
  },
  {
    name: "Photos",
    labels:
      "person, group of people, dog, cat, landscape, beach, mountain, city street, building, food, car, flower, document, screenshot, sunset, snow",
  },
];

/** Labels from text: one per line, or separated by commas. Blanks and repetitions are dropped, and the order is kept. */
export function parseLabels(text: string): string[] {
  return [
    ...new Set(
      text
        .split(/[\n,]/)
        .map((label) => label.trim().replace(/\s+/g, " "))
        .filter(Boolean),
    ),
  ];
}

/**
 * The labels of a page as they are typed, and what the model in use has made of them. They are compiled once; what is known of a
 * picture is then judged without running it again. The newest change wins; until its labels stand, the last ones answer.
 */
export class LabelList extends Store {
  readonly #kept: ReturnType<typeof remembered<ListText>>;
  #set: LabelSet | undefined;
  /** The model of `#set`. */
  #model: Ocelli | undefined;
  /** The text of which `#set` was compiled. */
  #made: string | undefined;
  /** The text that is being compiled, or was compiled last. */
  #pending: string | undefined;
  #turn = 0;
  #waiting = 0;
  #failed: unknown;

  /**
   * @param key Under which its text is remembered.
   * @param first What it starts with; the first suggestion, if nothing else.
   */
  constructor(key: string, first: ListText = startsWith) {
    super();
    this.#kept = remembered(`labels.${key}`, first);
    models.addEventListener("change", () => this.#compile());
    examples.addEventListener("change", () => this.#compile());
    // The model may be here already.
    queueMicrotask(() => this.#compile());
  }

  get text(): { labels: string; template: string } {
    const { labels, template = usualPrompt() } = this.kept;
    return { labels, template };
  }

  /** The text as it is remembered. */
  get kept(): ListText {
    return this.#kept.get();
  }

  get names(): string[] {
    return parseLabels(this.text.labels);
  }

  /** The labels on the device; undefined while there are none. */
  get set(): LabelSet | undefined {
    return this.#set;
  }

  /** The model of `set`. Only embeddings by this model can be scored with it. */
  get model(): Ocelli | undefined {
    return this.#model;
  }

  /** Whether `set` is not yet that of the current text. */
  get behind(): boolean {
    return this.#set === undefined || this.#made !== this.#wanted();
  }

  /** Why the labels could not be compiled. */
  get failed(): unknown {
    return this.#failed;
  }

  /** A sentence for each field whose text cannot be used. */
  get wrong(): { labels?: string; template?: string } {
    return {
      ...(this.names.length === 0 && { labels: "Enter at least one label." }),
      ...(!this.#templates().every((one) => one.includes("{}")) && { template: "Put {} where the label belongs." }),
    };
  }

  /** Changes the text; `typing` waits until no key was pressed for a while. */
  write(text: Partial<ListText>, typing = false): void {
    const { labels, template } = { ...this.kept, ...text };
    // What suits the model in use goes with the model.
    this.#kept.set({ labels, template: template === usualPrompt() ? undefined : template });
    this.changed();
    clearTimeout(this.#waiting);
    this.#waiting = window.setTimeout(() => this.#compile(), typing ? 250 : 0);
  }

  /** Compiles the labels again after a failure. */
  again(): void {
    this.#failed = undefined;
    this.#compile();
  }

  #templates(): readonly string[] {
    return templateSets[this.text.template] ?? [this.text.template];
  }

  #wanted(): string {
    const { names } = this;
    const taught = names.map((name) => examples.of(name).map(({ id }) => id));
    return JSON.stringify([models.info?.modelHash, models.info?.format, names, this.#templates(), taught]);
  }

  #compile(): void {
    const { model } = models;
    const { labels, template } = this.wrong;
    const wanted = this.#wanted();
    if (model !== this.#model) {
      // What another model made is of no use, and went with it.
      this.#model = model;
      this.#turn++;
      this.#set = this.#made = this.#pending = undefined;
      this.changed();
    }
    if (!model || labels || template || this.#pending === wanted) return;
    this.#pending = wanted;
    const turn = ++this.#turn;
    this.#make(model).then(
      (set) => {
        if (turn !== this.#turn) return set.dispose();
        this.#set?.dispose();
        this.#set = set;
        this.#made = wanted;
        this.#failed = undefined;
        this.changed();
      },
      (error: unknown) => {
        if (turn !== this.#turn) return;
        this.#pending = undefined;
        this.#failed = error;
        this.changed();
      },
    );
  }

  async #make(model: Ocelli): Promise<LabelSet> {
    const names = this.names;
    const set = await model.labels(names, { templates: this.#templates() });
    for (const name of names) {
      const taught = await examples.embeddings(model, name);
      if (taught.length > 0) await set.learn(name, taught);
    }
    return set;
  }
}
