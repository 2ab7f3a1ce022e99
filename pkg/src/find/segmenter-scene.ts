import type { ImageInput } from "../types.js";
import { LookedAt } from "./looked-at.js";
import type { Mask } from "./mask.js";
import type { SceneData } from "./plain.js";
import type { SegmentOptions } from "./types.js";

/** The segmenter of a scene. */
export interface Cutter {
  cut(data: SceneData, prompts: readonly (string | ImageInput)[], options: SegmentOptions): Promise<Mask[]>;
}

/**
 * A picture that a segmenter has looked at, for any number of prompts. It is plain numbers ({@link SegmenterScene.data}), and outlives the
 * device that they come from.
 */
export class SegmenterScene extends LookedAt {
  readonly #cutter: Cutter;

  /** @internal */
  constructor(cutter: Cutter, data: SceneData) {
    super(data);
    this.#cutter = cutter;
  }

  /** A mask for each prompt: see {@link Segmenter.segment}. */
  segment(prompts: readonly (string | ImageInput)[], options: SegmentOptions = {}): Promise<Mask[]> {
    return this.#cutter.cut(this.data, prompts, options);
  }
}
