/**
 * CLIP and SigLIP on the user's own GPU. Importing does nothing by itself; `Ocelli.load` does.
 *
 * @packageDocumentation
 */
export { OcelliError, type ErrorCode } from "./error.js";
export { LabelSet } from "./labels.js";
export { Ocelli } from "./ocelli.js";
export { Tokenizer } from "./tokenizer.js";
export type {
  BatchOptions,
  Calibration,
  Check,
  Classification,
  ClassifyAllOptions,
  ClassifyOptions,
  Example,
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
