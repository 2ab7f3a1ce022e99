import type { MaskData } from "../find/plain.js";
import type { Box } from "../find/types.js";

/** What the engine and the tokenizer take and give for texts, in a form that can be posted to a worker. */

/** Who says something. */
export type Role = "system" | "user" | "assistant";

/** A part of a message: words, or an image by its place among those of the prompt. */
export type PlainPart = { type: "text"; text: string } | { type: "image"; picture: number };

/** What somebody says. */
export interface PlainMessage {
  role: Role;
  content: PlainPart[];
}

/** What a prompt is made of; the tokenizer puts it into the words of the model's family. */
export type PromptRequest =
  | { messages: PlainMessage[] }
  | { raw: string }
  | { caption: true; pictures: number }
  | { question: string; pictures: number }
  | { detect: string[] }
  | { segment: string }
  | { task: string; text: string | undefined; box: Box | undefined };

/** How much of an image the model sees: the whole of it once, or the tiles that it is cut into as well. */
export type Detail = "low" | "auto" | "high";

/** How a text is written. */
export interface Manner {
  detail: Detail;
  /** As many as there is room for, if undefined. */
  maxTokens: number | undefined;
  temperature: number;
  topK: number | undefined;
  topP: number;
  repetitionPenalty: number;
  seed: number;
  /** As many as the model's files say, if undefined. */
  beams: number | undefined;
  specialTokens: boolean;
  /** Of which the text is one, if defined. */
  choices: readonly string[] | undefined;
  /** A regular expression that the text matches, if defined. */
  pattern: string | undefined;
}

/** How likely an answer is. */
export interface Choice {
  /** The answer as given. */
  text: string;
  /** Its probability, given that it is one of the choices: they add up to 1. */
  probability: number;
  /** Natural logarithm of the probability with which the model writes this and nothing else. */
  logProbability: number;
}

/** Why a text ended: the model ended it, or a stop string; it has as many tokens as were asked for; there is no more room. */
export type Finish = "stop" | "length" | "context";

/** A text that has begun. */
export interface Begun {
  /** Of the text, for its steps. */
  number: number;
  promptTokens: number;
  /** Those of the prompt that stand for images. */
  imageTokens: number;
  /** Width and height of each image, upright. */
  sizes: [width: number, height: number][];
}

/** What an answer is about. */
export interface Sought {
  labels: string[];
  /** Of the image, upright. */
  width: number;
  height: number;
  /** Whether masks are wanted. */
  masks: boolean;
}

/** Where the things are that an answer names. */
export interface Places {
  /** The place of the label, and the box's x, y, width and height, again and again. */
  things: Float64Array;
  /** Of each thing; none at all where they are not wanted or cannot be had. */
  masks: (MaskData | undefined)[];
}

/** What the answer to a task says: words, or parts of the image. */
export type Answer = { text: string } | { regions: PlainRegion[] };

/** A part of an image, in its pixels. */
export interface PlainRegion {
  label: string;
  /** None of a polygon without corners. */
  box: Box | null;
  /** x and y of each corner in turn. */
  quad?: number[];
  polygons?: number[][];
}

/** What a step came to: a tile was looked at or a part of the prompt read, and nothing written; or a token was; or the text ended. */
export interface Step {
  /** The characters that are whole now. */
  text: string;
  token?: number;
  finish?: Finish;
  /** Of a text that comes as a whole: its tokens, and how likely it was, or each of several answers. */
  whole?: { tokens: Uint32Array; choices?: Choice[]; score?: number };
}
