/**
 * Words from images and words: SmolVLM, PaliGemma, LLaVA, Florence-2, and decoders by themselves, on the user's own GPU.
 *
 * @module ocelli/vlm
 */
export { OcelliError, type ErrorCode } from "../error.js";
export { Chat } from "./chat.js";
export { Mask, type Color, type Rle } from "../find/mask.js";
export type { Point } from "../find/outline.js";
export type { Box } from "../find/types.js";
export { LanguageModel } from "./language-model.js";
export { Vlm } from "./vlm-model.js";
export { WritingError } from "./writing-error.js";
export type { Choice, Detail, Finish, Role } from "./plain.js";
export type { TextStream } from "./text-stream.js";
export type {
  BoxOrPolygons,
  OneBox,
  OneText,
  PolygonRegion,
  QuadRegion,
  Region,
  Regions,
  TaskAnswers,
  TaskArguments,
  TaskInputs,
  TaskOptions,
  VisionTask,
} from "./tasks.js";
export type {
  Availability,
  Expected,
  LanguageModelMessage,
  LanguageModelOptions,
  LanguageModelPrompt,
  LanguageModelPromptOptions,
} from "./language-model.js";
export type {
  Captioning,
  ChatOptions,
  ContentPart,
  Conversation,
  DetailOptions,
  ImagePart,
  ImageUrl,
  ImageUrlPart,
  ImageValue,
  Located,
  LocatedMask,
  LocateOptions,
  Message,
  Prompt,
  Question,
  RawPrompt,
  TextPart,
  TextValue,
  TokenEvent,
  Turn,
  VlmOptions,
  Words,
  WriteOptions,
  Written,
} from "./types.js";
