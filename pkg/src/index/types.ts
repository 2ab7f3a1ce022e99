import type { Ocelli } from "../ocelli.js";
import type { Backend, BatchOptions } from "../types.js";

/**
 * How rows are kept.
 * - `f32`: as they are; four bytes a number.
 * - `int8`: one byte a number, each row by a scale of its own: a quarter of the memory and of the time; a cosine moves by about 0.001,
 *   so that close neighbours may change places.
 */
export type IndexFormat = "f32" | "int8";

/** Files that an index is written to. */
export type IndexFile = "npy" | "safetensors" | "jsonl";

/** An embedding of any length but zero; only its direction counts. */
export type Vector = Float32Array | Float64Array | Int8Array | readonly number[];

/** What a row of the index stands for. */
export interface Item<M = unknown> {
  /** Whatever names it in the app: a path, a key. No two items share one. */
  id: string;
  /** A few facts to show or to filter by, of whatever JSON can say. */
  meta?: M;
}

/** What {@link ImageIndex.search} found. */
export interface Hit<M = unknown> extends Item<M> {
  /** The cosine between query and item, -1 to 1. */
  score: number;
}

/** What an index needs of a model; an `Ocelli` is one. */
export interface EmbeddingModel extends Pick<Ocelli, "embedText" | "embedImage" | "embedImages"> {
  /** What it says of itself. */
  readonly info: {
    /** Numbers in a vector. */
    readonly embeddingDim: number;
    /** What tells the model from all others. */
    readonly modelHash?: string;
  };
}

/** What every way to an index takes. */
export interface OpenOptions {
  /** Turns the pictures of {@link ImageIndex.add} and the words and pictures of {@link ImageIndex.search} into vectors. */
  model?: EmbeddingModel;
  /** What tells the model that the vectors are of from all others; default: the model's own. */
  modelHash?: string;
  /** Where to search; the answers are the same. `"auto"` (default): on the GPU, or without one on the CPU. */
  backend?: "auto" | Backend;
  /** Most bytes of one GPU buffer of vectors; default: what every device allows, 128 MiB. */
  maxBufferBytes?: number;
}

/** What {@link ImageIndex.create} takes. */
export interface CreateOptions extends OpenOptions {
  /** Numbers in a vector; default: the model's own. */
  dim?: number;
  /** Default `"int8"`. */
  format?: IndexFormat;
}

/** What {@link ImageIndex.import} takes. */
export interface ImportOptions<M = unknown> extends OpenOptions {
  /** Default: as the file has it. */
  format?: IndexFormat;
  /** What the rows stand for, in order; needed for `.npy` files, which do not say. */
  items?: readonly (string | Item<M>)[];
}

/** What {@link ImageIndex.add} takes. */
export interface AddOptions extends BatchOptions {
  /** Of the model that made the vectors, to be checked against the index's. */
  modelHash?: string;
}

/** What {@link ImageIndex.search} takes. */
export interface SearchOptions<M = unknown> {
  /** Most hits; default 10. */
  k?: number;
  /** Which items to look at; called once for each, must be quick. Default: all. */
  filter?: (item: Item<M>) => boolean;
  /** Least cosine; default: any. */
  minScore?: number;
  /** Of the model that made the query's vector, to be checked against the index's. */
  modelHash?: string;
}
