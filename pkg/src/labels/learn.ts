import type { Content, Examples, Label, Scorer } from "./content.js";
import { unitSum } from "../vectors.js";

/** As many examples weigh what the text weighs. */
const TEXT_WEIGHS = 2;

/**
 * A label's row of the matrix: its text, blended with where its pictures lie. Class means of frozen embeddings are the prototypes of
 * Snell et al. (Prototypical Networks for Few-shot Learning, 2017); blending what they say with what the text says, without any
 * training, is Tip-Adapter's (Zhang et al., 2022). Pictures lie close together, apart from texts (Liang et al., Mind the Gap, 2022),
 * so any picture is nearer to a mean of pictures than to a text. What they have in common is taken off first: the embedding of
 * pictures that show nothing.
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

/** The content with pictures of a label added. */
export async function learned(
  scorer: Scorer,
  content: Content,
  label: string,
  embeddings: Float32Array[],
): Promise<Content> {
  const nothing = content.nothing ?? (await nothingOf(scorer));
  const add = (one: Label): Label => {
    const sum = new Float32Array(scorer.info.embeddingDim);
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

const nothings = new WeakMap<Scorer, Promise<Float32Array>>();

/** What a model makes of pictures that show nothing: once for all of its sets. */
function nothingOf(scorer: Scorer): Promise<Float32Array> {
  let made = nothings.get(scorer);
  if (!made) {
    made = scorer.embedImages(blanks(scorer.info.imageSize)).then((rows) => unitSum(rows.map((row) => [1, row])));
    nothings.set(scorer, made);
    made.catch(() => nothings.delete(scorer));
  }
  return made;
}

/** Pictures that show nothing: black, grey and white. */
function blanks(side: number): ImageData[] {
  return [0, 128, 255].map((level) => {
    const data = new Uint8ClampedArray(side * side * 4).fill(level);
    for (let alpha = 3; alpha < data.length; alpha += 4) data[alpha] = 255;
    return new ImageData(data, side, side);
  });
}
