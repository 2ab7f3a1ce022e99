import type { ModelInfo, Score } from "ocelli";
import { byId, make } from "./dom.ts";
import type { Shown } from "./scale.ts";

export interface Question {
  labels: string[];
  template: string;
  score: Score;
}

const nouns = "dog, cat, elephant, banana, pizza, castle, airplane, umbrella, guitar, key, bicycle, octopus, rocket, cactus, " +
  "violin, tractor";

const meanings: Record<Score, string> = {
  auto: "What the model was trained with: softmax for CLIP, sigmoid for SigLIP.",
  softmax: "The labels compete for 100 %: which one fits best, even where none fits.",
  sigmoid: "Each label is asked on its own. SigLIP's numbers are small by nature: 20 % can be a clear yes.",
  cosine: "How far picture and sentence point the same way: 1 is the same direction, 0 is unrelated.",
  logits: "The raw numbers before softmax or sigmoid, on the model's own scale; often negative.",
};

const form = byId("question", "form");
const labels = byId("labels", "textarea");
const labelsWrong = byId("labels-wrong", "p");
const count = byId("count", "span");
const template = byId("template", "input");
const templateWrong = byId("template-wrong", "p");
const choices = byId("score", "fieldset").querySelector(".choices");
const scoreHelp = byId("score-help", "p");

/** One per line or with commas between; blanks and repetitions dropped, order kept. */
export function parseLabels(text: string): string[] {
  return [...new Set(text.split(/[\n,]/).map((label) => label.trim().replace(/\s+/g, " ")).filter(Boolean))];
}

/** Fills the form, and calls `changed` at once for every change; the caller decides how long to wait. */
export function questionForm(changed: (typing: boolean) => void): void {
  // A browser that restores a form after a reload restores what the user wrote.
  if (!labels.value) labels.value = nouns;
  if (!template.value) template.value = "a picture of a {}";
  for (const score of Object.keys(meanings)) {
    const input = make("input", { type: "radio", name: "score", value: score });
    input.checked = score === "softmax";
    choices?.append(make("label", {}, input, make("span", {}, score)));
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    changed(!(event.target instanceof HTMLInputElement && event.target.type === "radio"));
  });
}

/** The question as it stands, or nothing while it makes no sense; the form says why. */
export function readQuestion(): Question | undefined {
  const question: Question = { labels: parseLabels(labels.value), template: template.value.trim(), score: readScore() };
  count.textContent = `(${question.labels.length})`;
  scoreHelp.textContent = meanings[question.score];
  const anyLabel = say(labels, labelsWrong, question.labels.length === 0 && "Write at least one label.");
  const hasPlace = say(template, templateWrong, !question.template.includes("{}") && "Put {} where the label belongs.");
  return anyLabel && hasPlace ? question : undefined;
}

/** What "auto" stands for with this model. */
export function shownScore(score: Score, info: ModelInfo): Shown {
  return score === "auto" ? info.defaultScore : score;
}

function readScore(): Score {
  const value = new FormData(form).get("score");
  return typeof value === "string" && value in meanings ? (value as Score) : "softmax";
}

function say(field: HTMLElement, place: HTMLElement, wrong: string | false): boolean {
  place.textContent = wrong || "";
  field.toggleAttribute("aria-invalid", Boolean(wrong));
  if (wrong) field.setAttribute("aria-invalid", "true");
  return !wrong;
}
