import type { ImageInput } from "../types.js";
import { LookedAt } from "./looked-at.js";
import type { Mask } from "./mask.js";
import type { SceneData } from "./plain.js";
import type { SegmentOptions } from "./types.js";

/** The segmenter of a scene. */
export interface Masker {
  masks(data: SceneData, prompts: readonly (string | ImageInput)[], options: SegmentOptions): Promise<Mask[]>;
}

/**
 * An image that a segmenter has looked at, for any number of prompts. It is plain numbers ({@link SegmenterScene.data}), and outlives the
 * device that they come from.
 */
export class SegmenterScene extends LookedAt {
  readonly #masker: Masker;

  /** @internal */
  constructor(masker: Masker, data: SceneData) {
    super(data);
    this.#masker = masker;
  }

  /** A mask for each prompt: see {@link Segmenter.segment}. */
  segment(prompts: readonly (string | ImageInput)[], options: SegmentOptions = {}): Promise<Mask[]> {
    return this.#masker.masks(this.data, prompts, options);
  }
}
