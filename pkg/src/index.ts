/**
 * CLIP and SigLIP on the user's own GPU. Importing alone does nothing; `Ocelli.load` does.
 *
 * @module ocelli
 */
export { OcelliError, type ErrorCode } from "./error.js";
export type {
  CacheAdapter,
  CachedModel,
  Bytes,
  FileContent,
  ModelSource,
  SourceOptions,
  StorageState,
} from "./source/types.js";
export { LabelSet } from "./labels/index.js";
export { Ocelli } from "./ocelli.js";
export { Tokenizer } from "./tokenizer.js";
export type {
  Backend,
  BatchOptions,
  Calibration,
  CallOptions,
  Check,
  Classification,
  ClassifyOptions,
  ContextOptions,
  Example,
  FindLoadOptions,
  Format,
  ImageInput,
  LabelOptions,
  LoadOptions,
  ModelEvents,
  ModelInfo,
  Progress,
  RankOptions,
  Score,
  Task,
  Tier,
  Towers,
  Verification,
  WasmFile,
  WasmOptions,
} from "./types.js";
