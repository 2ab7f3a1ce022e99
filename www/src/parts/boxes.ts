import { labelColor } from "ocelli/draw";
import { html } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { repeat } from "lit/directives/repeat.js";
import type { Framed } from "../state/finder.ts";
import { LEAST, showFrom } from "../state/show-from.ts";
import { format } from "./scale.ts";

/** Of more boxes than these, only the one that is pointed at has words. */
const WITH_WORDS = 8;

/** What is pointed at. */
export interface Pointing<T> {
  lit?: T | undefined;
  /** Told what the pointer is over; undefined when it leaves. */
  point?: (box: T | undefined) => void;
}

/**
 * Boxes over an image or a video of this size, in an element that covers it: the best one on top. They are for the eye; a list says the
 * same to everybody. Each box has an element of its own: none moves to where another was.
 */
export function boxesOver<T extends Framed>(
  found: readonly T[],
  { width, height }: { width: number; height: number },
  { lit, point }: Pointing<T> = {},
) {
  const kinds = classMap({ boxes: true, pointed: lit !== undefined, many: found.length > WITH_WORDS });
  return html`<div class=${kinds} aria-hidden="true">
    ${repeat(
      [...found].reverse(),
      (one) => one,
      (one) => {
        const { box, index, label, score } = one;
        const edges = [box.x / width, box.y / height, box.width / width, box.height / height].map(
          (part) => `${100 * part}%`,
        );
        const [x, y, w, h] = edges;
        return html`<div
          class=${classMap({ box: true, lit: lit === one, low: box.y < height / 10 })}
          .style=${`--x: ${x}; --y: ${y}; --w: ${w}; --h: ${h}; --color: ${labelColor(index)}`}
          @pointerenter=${() => point?.(one)}
          @pointerleave=${() => point?.(undefined)}
        >
          <span>${label} ${scoreOf(score)}</span>
        </div>`;
      },
    )}
  </div>`;
}

/**
 * The boxes that are shown: those with the score that the user wants, but none of what OWLv2 finds in the padding of its square, of which
 * nothing is left within the image.
 */
export function shownOf<T extends Framed>(found: readonly T[]): T[] {
  return found.filter(({ score = 1, box }) => score >= showFrom.score && box.width >= 1 && box.height >= 1);
}

/** A score in words; nothing where there is none. */
export const scoreOf = (score?: number): string => (score === undefined ? "" : format("sigmoid", score));

/** The slider for the score from which on boxes are shown. */
export function fromSlider() {
  return html`<div class="slider">
    <label for="show-from">Show from: <output>${format("sigmoid", showFrom.score)}</output></label>
    <input
      id="show-from"
      type="range"
      min=${LEAST}
      max="0.95"
      step="0.01"
      .value=${String(showFrom.score)}
      @input=${(event: Event) => (showFrom.score = Number((event.target as HTMLInputElement).value))}
    />
  </div>`;
}

/** How often each word was found: "dog 2 · ball 1". */
export function countsOf(found: readonly Framed[], words: readonly string[]): string {
  return words
    .map((word, at) => ({ word, count: found.filter(({ index }) => index === at).length }))
    .filter(({ count }) => count > 0)
    .map(({ word, count }) => `${word} ${count}`)
    .join(" · ");
}
