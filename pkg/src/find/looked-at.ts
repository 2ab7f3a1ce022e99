import type { SceneData } from "./plain.js";

/** An image that a model has looked at. It is plain numbers, and outlives the device that they come from. */
export abstract class LookedAt {
  /** @internal */
  constructor(
    /** What it is made of: can be posted or stored, and becomes a scene again by the model's `scene`. */
    readonly data: SceneData,
  ) {}

  /** Width of the upright image in pixels. */
  get width(): number {
    return this.data.width;
  }

  /** Its height. */
  get height(): number {
    return this.data.height;
  }
}
