import type { Model } from "../model.js";
import { embedPictures } from "../pictures/batches.js";
import type { Score } from "../types.js";
import { unitSum } from "../vectors.js";

/** What was learned of a label: the sum of its images' unit embeddings, and how many there were. */
export interface Examples {
  sum: Float32Array;
  count: number;
}

/** A label, and what is known of it. */
export interface Label {
  name: string;
  /** Its text's embedding; none if images alone say what it is. */
  text: Float32Array | undefined;
  examples: Examples | undefined;
  /** From calibration, 0 to 1. */
  threshold: number | undefined;
}

/** All that makes a set of labels, but for the model. */
export interface Content {
  labels: readonly Label[];
  /** Embedding of the neutral text, where labels are compared with one. */
  neutral: Float32Array | undefined;
  /** Embedding of images that show nothing, once something was learned. */
  nothing: Float32Array | undefined;
  templates: string[];
  score: Score;
}

/** As many examples weigh what the text weighs. */
const TEXT_WEIGHS = 2;

/**
 * A label's row of the matrix: its text, blended with where its images lie. Class means of frozen embeddings are the prototypes of
 * Snell et al. (Prototypical Networks for Few-shot Learning, 2017); blending what they say with what the text says, without any
 * training, is Tip-Adapter's (Zhang et al., 2022). Images lie close together, apart from texts (Liang et al., Mind the Gap, 2022),
 * so any image is nearer to a mean of images than to a text. What they have in common is taken off first: the embedding of
 * images that show nothing.
 */
export function blend(text: Float32Array | undefined, { sum, count }: Examples, nothing: Float32Array): Float32Array {
  const mean = unitSum([[1, sum]]);
  const pictures = unitSum([
    [1, mean],
    [-1, nothing],
  ]);
  return text
    ? unitSum([
        [TEXT_WEIGHS, text],
        [count, pictures],
      ])
    : pictures;
}

/** The content with images of a label added. */
export async function learned(
  model: Model,
  content: Content,
  label: string,
  embeddings: Float32Array[],
): Promise<Content> {
  const nothing = content.nothing ?? (await nothingOf(model));
  const add = (one: Label): Label => {
    const sum = new Float32Array(model.info.embeddingDim);
    for (const row of [...embeddings, one.examples?.sum ?? []])
      row.forEach((x, i) => (sum[i] = (sum[i] as number) + x));
    return { ...one, examples: { sum, count: embeddings.length + (one.examples?.count ?? 0) }, threshold: undefined };
  };
  const known = content.labels.some(({ name }) => name === label);
  const labels = known
    ? content.labels
    : [...content.labels, { name: label, text: undefined, examples: undefined, threshold: undefined }];
  return { ...content, nothing, labels: labels.map((one) => (one.name === label ? add(one) : one)) };
}

const nothings = new WeakMap<Model, Promise<Float32Array>>();

/** What a model makes of images that show nothing: once for all of its sets. */
function nothingOf(model: Model): Promise<Float32Array> {
  let made = nothings.get(model);
  if (!made) {
    const { imageSize, embeddingDim } = model.info;
    const embeddings = embedPictures(model.core, blanks(imageSize), embeddingDim);
    made = embeddings.then((rows) => unitSum(rows.map((row) => [1, row])));
    nothings.set(model, made);
    made.catch(() => nothings.delete(model));
  }
  return made;
}

/** Images that show nothing: black, grey and white. */
function blanks(side: number): ImageData[] {
  return [0, 128, 255].map((level) => {
    const data = new Uint8ClampedArray(side * side * 4).fill(level);
    for (let alpha = 3; alpha < data.length; alpha += 4) data[alpha] = 255;
    return new ImageData(data, side, side);
  });
}
