import type { Classification } from "ocelli";
import { byId, make } from "./dom.ts";
import type { Question } from "./labels.ts";
import { format, scaleOf, type Shown } from "./scale.ts";

const top = byId("top", "div");
const ranking = byId("ranking", "ol");
const legend = byId("legend", "p");

/** The best label in words, and all of them as bars; `shown` is the score that "auto" stood for, if it was asked. */
export function showAnswer(answer: Classification[], question: Question, shown: Shown): void {
  const best = answer[0];
  if (!best) return clearAnswer("");
  const scale = scaleOf(shown, answer.map((row) => row.score));
  top.replaceChildren(
    make("p", { class: "small" }, "Looks most like"),
    make("p", { class: "best" }, best.label),
    make("p", { class: "small" },
      `“${question.template.replaceAll("{}", best.label)}”: ${format(shown, best.score)}, the best of ${answer.length} labels`),
  );

  // Rows are kept from answer to answer, so that a bar moves to its new length instead of jumping there.
  while (ranking.children.length > answer.length) ranking.lastElementChild?.remove();
  answer.forEach((entry, rank) => {
    const row = ranking.children[rank] ?? newRow();
    if (!(row instanceof HTMLElement)) return;
    row.dataset["label"] = entry.label;
    row.dataset["score"] = String(entry.score);
    row.style.setProperty("--part", String(Math.min(1, Math.max(0, scale.part(entry.score)))));
    fillRow(row, entry.label, format(shown, entry.score));
  });
  legend.textContent = `Score: ${shown}. ${scale.caption}`;
}

/** The labels in their own order and no scores yet, while the model is on its way. */
export function showWaiting(labels: string[]): void {
  ranking.replaceChildren();
  for (const label of labels) fillRow(newRow(), label, "");
}

/** Nothing to show, and why. */
export function clearAnswer(why: string): void {
  top.replaceChildren();
  ranking.replaceChildren();
  legend.textContent = why;
}

function fillRow(row: HTMLElement, label: string, score: string): void {
  const [, labelPlace, scorePlace] = row.children;
  if (labelPlace) labelPlace.textContent = label;
  if (scorePlace) scorePlace.textContent = score;
}

function newRow(): HTMLLIElement {
  const row = make("li", {}, make("i", { "aria-hidden": "true" }), make("span"), make("b"));
  // A bar that starts at nothing has a length to grow from.
  row.style.setProperty("--part", "0");
  ranking.append(row);
  row.getBoundingClientRect();
  return row;
}
