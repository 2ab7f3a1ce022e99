/**
 * Cutting things out of images by words: CLIPSeg on the user's own GPU.
 *
 * @module ocelli/segment
 */
export { OcelliError, type ErrorCode } from "../error.js";
export type { LookedAt } from "./looked-at.js";
export { Mask, type Color, type Rle } from "./mask.js";
export type { Point } from "./outline.js";
export { Segmenter } from "./segmenter.js";
export { SegmenterScene } from "./segmenter-scene.js";
export type { MaskSize, SceneData } from "./plain.js";
export type { Box, SegmenterOptions, SegmentOptions, TemplateOptions } from "./types.js";
