/**
 * Exact search over embeddings, on the user's own GPU or, without one, on the CPU. Needs neither a model nor wasm.
 *
 * @module ocelli/index
 */
export { OcelliError, type ErrorCode } from "../error.js";
export { ImageIndex } from "./image-index.js";
export type {
  AddOptions,
  CreateOptions,
  EmbeddingModel,
  Hit,
  ImportOptions,
  IndexFile,
  IndexFormat,
  Item,
  OpenOptions,
  SearchOptions,
  Vector,
} from "./types.js";
