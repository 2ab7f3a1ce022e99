import { parseLabels } from "../../state/label-list.ts";
import { detectors, writers, type Task } from "../../state/models.ts";
import { showFrom } from "../../state/show-from.ts";
import { remembered } from "../../state/store.ts";
import { Errand, type Outcome } from "./errand.ts";

/** Tokens of an alt text, at most: two sentences. */
const MOST_TOKENS = 80;
/** The overlap from which on two boxes are of one thing. */
const OVERLAP = 0.5;

/** A model's answer about each of many photos, and how it reads. */
export interface Kind<Result> {
  title: string;
  /** Whose model it takes. */
  task: Task;
  errand: Errand<Result>;
  say(result: Result): string;
  /** Rows of a table, the first of which names the columns. */
  rows(outcomes: readonly Outcome<Result>[]): string[][];
  file: string;
}

const words = remembered("photos.count", "person, dog, car");

/** The things that are counted, as typed. */
export const counted = {
  get text(): string {
    return words.get();
  },
  set text(text: string) {
    words.set(text);
  },
  get names(): string[] {
    return parseLabels(words.get());
  },
};

/** A description of each photo, for those who can't see it. */
export const describing: Kind<string> = {
  title: "Describe all",
  task: "ask",
  errand: new Errand(async (file, signal) => {
    if (!writers.model) throw new Error("The model was unloaded.");
    const { text } = await writers.model.caption(file, { maxTokens: MOST_TOKENS, signal });
    return text.trim();
  }),
  say: (text) => text,
  rows: (outcomes) => [
    ["path", "alt text", "error"],
    ...outcomes.map((one) => [one.path, "result" in one ? one.result : "", "error" in one ? one.error : ""]),
  ],
  file: "alt-texts.csv",
};

/** How many of some things are in each photo. */
export const counting: Kind<Record<string, number>> = {
  title: "Count things",
  task: "find",
  errand: new Errand(async (file, signal) => {
    if (!detectors.model) throw new Error("The model was unloaded.");
    const { names } = counted;
    const found = await detectors.model.detect(file, names, { threshold: showFrom.score, nms: OVERLAP, signal });
    return Object.fromEntries(names.map((name) => [name, found.filter(({ label }) => label === name).length]));
  }),
  say: (counts) => {
    const some = Object.entries(counts).filter(([, many]) => many > 0);
    return some.length > 0 ? some.map(([name, many]) => `${name} ${many}`).join(" · ") : "nothing of it";
  },
  rows: (outcomes) => {
    const names = [...new Set(outcomes.flatMap((one) => ("result" in one ? Object.keys(one.result) : [])))];
    const cells = (one: Outcome<Record<string, number>>) =>
      "result" in one
        ? [...names.map((name) => String(one.result[name] ?? "")), ""]
        : [...names.map(() => ""), one.error];
    return [["path", ...names, "error"], ...outcomes.map((one) => [one.path, ...cells(one)])];
  },
  file: "counts.csv",
};
