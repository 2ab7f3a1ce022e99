import type { Calls } from "../calls.js";
import type { ImageInput } from "../types.js";
import { LookedAt } from "./looked-at.js";
import { requireScene, type SceneData } from "./plain.js";

/** An image's scene: what was looked at has one. */
export async function sceneOf(
  core: Calls,
  image: ImageInput | LookedAt,
  signal: AbortSignal | undefined,
): Promise<SceneData> {
  if (!(image instanceof LookedAt)) return core.look(image, signal);
  requireScene(image.data);
  return image.data;
}
