/**
 * CLIP and SigLIP on the user's own GPU. Importing does nothing by itself; `Ocelli.load` does.
 *
 * @packageDocumentation
 */
export { OcelliError, type ErrorCode } from "./error.js";
export { Ocelli } from "./ocelli.js";
export { Tokenizer } from "./tokenizer.js";
export type {
  Check,
  Classification,
  ClassifyOptions,
  Format,
  ImageInput,
  LoadOptions,
  ModelInfo,
  Progress,
  Score,
  Towers,
  Verification,
} from "./types.js";
