import type { Mask, Segmenter, SegmenterScene } from "ocelli/segment";
import { segmenters } from "../../state/models.ts";
import { remembered } from "../../state/store.ts";
import { Looking } from "../looking.ts";
import type { Effect } from "./effects.ts";

interface Settings {
  effect: Effect;
  inverted: boolean;
  /** Of the background, where the effect is one. */
  color: string;
  /** The score from which on a pixel belongs to a thing. */
  threshold: number;
}

const settings = remembered<Settings>("cut", { effect: "layers", inverted: false, color: "#ffffff", threshold: 0.4 });

/** Masks of what the words name, and what is done with them. */
class Cutting extends Looking<SegmenterScene, Mask[], Segmenter> {
  /** Words whose masks do not count. */
  readonly #hidden = new Set<string>();

  protected override ask(scene: SegmenterScene, words: readonly string[], signal: AbortSignal): Promise<Mask[]> {
    return scene.segment(words, { threshold: this.settings.threshold, signal });
  }

  protected override get manner(): string {
    return String(this.settings.threshold);
  }

  get settings(): Settings {
    return settings.get();
  }

  set(change: Partial<Settings>): void {
    settings.set({ ...this.settings, ...change });
    this.settle();
  }

  isHidden({ label }: Mask): boolean {
    return this.#hidden.has(label);
  }

  toggle({ label }: Mask): void {
    if (!this.#hidden.delete(label)) this.#hidden.add(label);
    this.changed();
  }

  /** The masks that count. */
  get masks(): readonly Mask[] {
    return (this.found ?? []).filter((mask) => !this.isHidden(mask) && mask.area > 0);
  }
}

export const cutting = new Cutting(segmenters, "cut.words", "dog, guitar");
