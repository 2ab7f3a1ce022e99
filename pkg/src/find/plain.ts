import { OcelliError } from "../error.js";

/** What the engine takes and gives, in a form that can be posted to a worker. */

/** What the image tower made of an image: plain data, which can be posted, stored, and asked about later on any device. */
export interface SceneData {
  /** Of the upright image, in pixels. */
  width: number;
  /** Likewise. */
  height: number;
  /** What the model's heads are given, one row for each patch: which arrays these are differs from model to model. */
  features: Float32Array[];
}

/** Which detections are wanted: `DetectOptions` of the engine. */
export interface Wanted {
  threshold: number;
  /** NaN where a label has none of its own. */
  thresholds: Float64Array;
  /** The label of each query; -1 for what is not meant. Empty: each query is a label. */
  owners: Int32Array;
  nms: number | undefined;
  topK: number | undefined;
  clip: boolean;
  normalized: boolean;
  multiLabel: boolean;
}

/** A detection, but for its label. */
interface Row {
  index: number;
  score: number;
  logit: number;
  token: number;
  box: { x: number; y: number; width: number; height: number };
}

/** What the engine's detections are: label, score, logit, token, and the box's x, y, width and height, again and again. */
export function rowsOf(numbers: Float64Array): Row[] {
  return Array.from({ length: numbers.length / 8 }, (_, at) => {
    const [index, score, logit, token, x, y, width, height] = numbers.subarray(8 * at, 8 * at + 8) as unknown as Eight;
    return { index, score, logit, token, box: { x, y, width, height } };
  });
}

type Eight = [number, number, number, number, number, number, number, number];

/** Of which size masks are: the image's, or that of the square that the model sees. */
export type MaskSize = "picture" | "model";

/** Width, height, bits, run lengths, area, the box's edges (none of an empty mask), and the model's logits. */
export type MaskData = [number, number, Uint8Array, Uint32Array, number, Float64Array, Float32Array];

/** No image has more pixels. */
const MOST_PIXELS = 2 ** 30;

/** @throws {OcelliError} With code `bad-input` for what is no scene. */
export function requireScene(data: unknown): asserts data is SceneData {
  const { width, height, features } = (data ?? {}) as Partial<SceneData>;
  const side = (given: unknown) => Number.isInteger(given) && (given as number) > 0;
  const size = side(width) && side(height) ? (width as number) * (height as number) : Infinity;
  if (size > MOST_PIXELS || !Array.isArray(features) || !features.every((f) => f instanceof Float32Array))
    throw new OcelliError("bad-input", "scene: expected the data of one that was looked at, found something else.");
}
