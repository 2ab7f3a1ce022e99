import { html, nothing } from "lit";
import { listedAs } from "../state/catalog.ts";
import { modelsOf, type Loading, type Task } from "../state/models.ts";
import { notice } from "./notice.ts";
import { bytes, duration } from "./words.ts";

/** How far a load has come: bytes, and the part of all, which is undefined while nothing is known. */
export function howFar({ choice, progress }: Loading): { here: number; total: number; part: number | undefined } {
  const { loaded = 0 } = progress ?? {};
  // Until the package has seen all headers, the catalogue knows the size.
  const total = progress?.total || listedAs(choice.source)?.bytes || 0;
  const here = Math.min(loaded, total || loaded);
  return { here, total, part: total > 0 && loaded > 0 ? here / total : undefined };
}

/** The same in words: megabytes of megabytes, and how long it takes yet. */
export function progressOf(load: Loading) {
  const { choice, progress } = load;
  const models = modelsOf[choice.task];
  const { here, total, part } = howFar(load);
  const { loaded = 0, rate = 0 } = progress ?? {};
  const amount = total > 0 ? `${bytes(here)} of ${bytes(total)}` : loaded > 0 ? bytes(loaded) : "…";
  // The small files at the start say nothing of the connection.
  const left =
    progress?.phase === "weights" && rate > 0 && total > here ? `, about ${duration((total - here) / rate)} left` : "";
  const words = total > 0 && here === total ? "almost ready" : `${amount}${left}`;
  return html`<div class="loading">
    <p>Loading ${choice.name}: <span>${words}</span></p>
    <progress aria-label="Loading ${choice.name}" max="1" .value=${part ?? nothing}></progress>
    ${models.model || choice.task !== "label" ? html`<button type="button" @click=${() => models.stop()}>Cancel</button>` : nothing}
  </div>`;
}

/** The load that was asked for at a place of a page, where it was asked for: its progress, or why it failed. */
export function loadAt(task: Task, place: string) {
  const models = modelsOf[task];
  const { loading, failed } = models;
  if (loading?.place === place) return html`<div class="load-here">${progressOf(loading)}</div>`;
  if (failed?.place !== place) return nothing;
  return html`<div class="load-here">${notice(failed.error, () => void models.load(failed.choice, place))}</div>`;
}
