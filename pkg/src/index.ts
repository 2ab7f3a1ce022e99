/**
 * CLIP and SigLIP on the user's own GPU. Importing does nothing by itself; `Ocelli.load` does.
 *
 * @packageDocumentation
 */
export { OcelliError, type ErrorCode } from "./error.js";
export type { CacheAdapter, CachedModel, FileContent, ModelSource, SourceOptions, StorageState } from "./source/types.js";
export { LabelSet } from "./labels.js";
export { Ocelli } from "./ocelli.js";
export { Tokenizer } from "./tokenizer.js";
export type {
  BatchOptions,
  Check,
  Classification,
  ClassifyOptions,
  Format,
  ImageInput,
  LabelOptions,
  LoadOptions,
  ModelInfo,
  Progress,
  RankOptions,
  Score,
  Tier,
  Towers,
  Verification,
} from "./types.js";
