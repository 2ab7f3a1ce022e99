import type { ImageInput } from "../types.js";
import type { Mask } from "./mask.js";
import type { SceneData } from "./plain.js";
import type { SegmentOptions } from "./types.js";

/** The segmenter of a scene. */
export interface Cutter {
  cut(data: SceneData, prompts: readonly (string | ImageInput)[], options: SegmentOptions): Promise<Mask[]>;
}

/** A picture that a segmenter has looked at, for any number of prompts. It is plain numbers, and outlives the device that they come from. */
export class SegmenterScene {
  readonly #cutter: Cutter;

  /** @internal */
  constructor(
    cutter: Cutter,
    /** What it is made of: can be posted or stored, and becomes a scene again by {@link Segmenter.scene}. */
    readonly data: SceneData,
  ) {
    this.#cutter = cutter;
  }

  /** Width of the upright picture in pixels. */
  get width(): number {
    return this.data.width;
  }

  /** Its height. */
  get height(): number {
    return this.data.height;
  }

  /** A mask for each prompt: see {@link Segmenter.segment}. */
  segment(prompts: readonly (string | ImageInput)[], options: SegmentOptions = {}): Promise<Mask[]> {
    return this.#cutter.cut(this.data, prompts, options);
  }
}
