import type { BatchOptions, CallOptions, ImageInput, ModelInfo, Score } from "../types.js";

/** What was learned of a label: the sum of its pictures' unit embeddings, and how many there were. */
export interface Examples {
  sum: Float32Array;
  count: number;
}

/** A label, and what is known of it. */
export interface Label {
  name: string;
  /** Its text's embedding; none if pictures alone say what it is. */
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
  /** Embedding of pictures that show nothing, once something was learned. */
  nothing: Float32Array | undefined;
  templates: string[];
  score: Score;
}

/** What a set of labels needs of its model. */
export interface Scorer {
  readonly info: ModelInfo;
  /** Embeddings of texts, one after the other. */
  embedTexts(texts: string[]): Promise<Float32Array>;
  /** Embeddings of pictures; `first` is what the first one's index is called in errors. */
  embedImages(images: Iterable<ImageInput>, options?: BatchOptions, first?: number): Promise<Float32Array[]>;
  /** Puts rows of unit length, one after the other, beside the model. */
  matrix(rows: Float32Array): Promise<Matrix>;
}

/** Rows on the device. */
export interface Matrix {
  /** The cosine of each row with a picture's embedding. */
  cosines(image: ImageInput, options?: CallOptions): Promise<Float32Array>;
  /** Frees the memory; no call may be under way. */
  free(): void;
}
