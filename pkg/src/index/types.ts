import type { Ocelli } from "../ocelli.js";
import type { Backend, BatchOptions } from "../types.js";

/**
 * How vectors are stored.
 * - `f32`: as they are; four bytes a number.
 * - `int8`: one byte a number, each row by a scale of its own: a quarter of the memory and of the time; a cosine moves by about 0.001,
 *   so that close neighbours may change places.
 */
export type IndexFormat = "f32" | "int8";

/** Kinds of files that an index is written to. */
export type IndexFile = "npy" | "safetensors" | "jsonl";

/** An embedding of any length but zero; only its direction counts. */
export type Vector = Float32Array | Float64Array | Int8Array | readonly number[];

/** An item of the index; each has one vector. */
export interface Item<M = unknown> {
  /** The item's name in the app, such as a path or a key. No two items share one. */
  id: string;
  /** Facts to show or to filter by, as JSON can represent them. */
  meta?: M;
}

/** An item that {@link ImageIndex.search} has found. */
export interface Hit<M = unknown> extends Item<M> {
  /** The cosine between query and item, -1 to 1. */
  score: number;
}

/** The part of a model that an index needs; an `Ocelli` has it. */
export interface EmbeddingModel extends Pick<Ocelli, "embedText" | "embedImage" | "embedImages"> {
  /** Facts about the model. */
  readonly info: {
    /** Numbers in a vector. */
    readonly embeddingDim: number;
    /** Hash of the model. */
    readonly modelHash?: string;
  };
}

/** Options of every way to make an index. */
export interface OpenOptions {
  /** Turns the images of {@link ImageIndex.add} and the words and images of {@link ImageIndex.search} into vectors. */
  model?: EmbeddingModel;
  /** Hash of the model that made the vectors; default: that of `model`. */
  modelHash?: string;
  /** Where to search; the answers are the same. `"auto"` (default): on the GPU, or without one on the CPU. */
  backend?: "auto" | Backend;
  /** Most bytes of one GPU buffer of vectors; default: what every device allows, 128 MiB. */
  maxBufferBytes?: number;
}

/** Options of {@link ImageIndex.create}. */
export interface CreateOptions extends OpenOptions {
  /** Numbers in a vector; default: the model's own. */
  dim?: number;
  /** How vectors are stored; default `"int8"`. */
  format?: IndexFormat;
}

/** Options of {@link ImageIndex.import}. */
export interface ImportOptions<M = unknown> extends OpenOptions {
  /** How vectors are stored; default: as in the file. */
  format?: IndexFormat;
  /** The items of the rows, in order; required for `.npy` files, which have none. */
  items?: readonly (string | Item<M>)[];
}

/** Options of {@link ImageIndex.add}. */
export interface AddOptions extends BatchOptions {
  /** Hash of the model that made the vectors, to be checked against the index's. */
  modelHash?: string;
}

/** Options of {@link ImageIndex.search}. */
export interface SearchOptions<M = unknown> {
  /** Maximum number of hits; default 10. */
  k?: number;
  /** Whether to consider an item. Is called once for each and must be quick. Default: all items. */
  filter?: (item: Item<M>) => boolean;
  /** Minimum cosine of a hit; default: any. */
  minScore?: number;
  /** Hash of the model that made the query's vector, to be checked against the index's. */
  modelHash?: string;
}
