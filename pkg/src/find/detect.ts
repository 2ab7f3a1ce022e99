/**
 * Finding things in images by words or by examples: OWL-ViT and OWLv2 on the user's own GPU.
 *
 * @module ocelli/detect
 */
export { OcelliError, type ErrorCode } from "../error.js";
export { Detector } from "./detector.js";
export { DetectorScene } from "./detector-scene.js";
export { QuerySet } from "./query-set.js";
export type { LookedAt } from "./looked-at.js";
export type { SceneData } from "./plain.js";
export type {
  Box,
  Detection,
  DetectOptions,
  DetectorOptions,
  FindOptions,
  ImageQuery,
  LabelledPicture,
  NegativeQuery,
  ObjectOptions,
  Proposal,
  Query,
  QueryOptions,
  TemplateOptions,
  TextQuery,
} from "./types.js";
