import type { CallOptions, ContextOptions, ImageInput, LoadOptions } from "../types.js";
import type { Mask } from "../find/mask.js";
import type { Box } from "../find/types.js";
import type { Choice, Detail, Finish, Role } from "./plain.js";

/** Words of a message, as OpenAI's and transformers' messages have them. */
export interface TextPart {
  /** What it is. */
  type: "text";
  /** The words. */
  text: string;
}

/** Words of a message, as the Prompt API has them. */
export interface TextValue {
  /** What it is. */
  type: "text";
  /** The words. */
  value: string;
}

/** An image in a message. */
export interface ImagePart {
  /** What it is. */
  type: "image";
  /** The image. Default: the next one of those that are given beside the messages. */
  image?: ImageInput;
}

/** An image in a message, as the Prompt API has it. */
export interface ImageValue {
  /** What it is. */
  type: "image";
  /** The image. */
  value: ImageInput;
}

/** An image in a message by its address, as OpenAI's messages have it. */
export interface ImageUrlPart {
  /** What it is. */
  type: "image_url";
  /** The address, relative to the page; it may be a `data:` address. */
  image_url: string | ImageUrl;
}

/** An image's address in an object of its own. */
export interface ImageUrl {
  /** The address. */
  url: string;
}

/** A part of a message: words, or an image. */
export type ContentPart = TextPart | TextValue | ImagePart | ImageValue | ImageUrlPart;

/** What somebody says. */
export interface Message {
  /** Who: the user, the model, or whoever set the model up. */
  role: Role;
  /** Words, or words and images in their order. */
  content: string | readonly ContentPart[];
}

/** What the user says of images. */
export interface Words {
  /** The words. */
  prompt: string;
  /** An image, placed before them. */
  image?: ImageInput;
  /** Several. */
  images?: readonly ImageInput[];
}

/** A conversation. */
export interface Conversation {
  /** What was said; the last of it by the user. */
  messages: readonly Message[];
  /** The images that `{ type: "image" }` stands for, in order. */
  images?: readonly ImageInput[];
}

/** A question about an image, asked in the way that the model was trained for: of PaliGemma, `answer en …`. */
export interface Question {
  /** The question. */
  question: string;
  /** The image. */
  image: ImageInput;
}

/** What asks for a description of an image, likewise: of PaliGemma, `caption en`. */
export interface Captioning {
  /** That it is one. */
  caption: true;
  /** The image. */
  image: ImageInput;
}

/** A text in which the model's template is written out. Special tokens count in it. */
export interface RawPrompt {
  /** The text, with `<image>` where an image goes. */
  raw: string;
  /** The image. */
  image?: ImageInput;
  /** Several, in order. */
  images?: readonly ImageInput[];
}

/**
 * What a text goes on from: what the user says, with images or without, a conversation, a question, a wish for a caption, or a raw text.
 * All but the last go into the model's own template, and whatever they say, none of it becomes a special token there.
 */
export type Prompt = string | Words | Conversation | Question | Captioning | RawPrompt;

/** A token, as it comes. */
export interface TokenEvent {
  /** Of the token, in the model's vocabulary. */
  id: number;
  /** The characters that it completes; empty within one. */
  text: string;
}

/** How much of images is seen. */
export interface DetailOptions extends CallOptions {
  /**
   * `"low"`: the whole image at the size of one tile, for 64 tokens with SmolVLM. `"high"`: its tiles as well, as the model's own
   * processor cuts them: small things and writing can be read, for up to 1,088 tokens. `"auto"` (default): high on a GPU, low on the CPU.
   * LLaVA-OneVision has 730 tokens and up to about 8,800, and sees each of several images once in any case. For models that see one square
   * of every image it does not matter.
   */
  detail?: Detail;
}

/** How a text is written. */
export interface WriteOptions extends DetailOptions {
  /** Most tokens that are written; `Infinity` for as many as there is room for. Default 256. */
  maxTokens?: number;
  /** 0 (default) takes the likeliest token each time, so that results repeat; 1 draws by the model's own probabilities. */
  temperature?: number;
  /** Draws from so many of the likeliest tokens. Default: from all. */
  topK?: number;
  /** Draws from the likeliest tokens whose probabilities add up to this, above 0 and at most 1. Default 1. */
  topP?: number;
  /** Above 1, tokens that are there already become less likely. Default 1. */
  repetitionPenalty?: number;
  /** Another one draws another text; the same one repeats it. A whole number. Default 0. */
  seed?: number;
  /**
   * Of Florence-2: texts that go on side by side in a search for the likeliest one. It comes as a whole: `onToken` is told nothing, and a
   * stream has one part. Default: as many as the model's files say, 3; 1 takes the likeliest token each time, and tells it. What draws or
   * chooses (`temperature`, `repetitionPenalty`, `choices`, `pattern`) does without.
   */
  beams?: number;
  /** Strings that end the text, and are no part of it. */
  stop?: readonly string[];
  /** Whether special tokens are written out, as the tags of documents need it. Default false. */
  specialTokens?: boolean;
  /**
   * The text is exactly one of these: the one that the model most likely writes, with its end, or a draw where there is a `temperature`.
   * {@link Written.choices} has the probability of each. It takes a step for each token of each choice, but for what several begin with;
   * `maxTokens`, `repetitionPenalty` and `stop` do not matter, and `onToken` is told nothing.
   */
  choices?: readonly string[];
  /**
   * The whole text matches this regular expression, whatever the model would say: each token is one of those that can still lead to a
   * match, and the text ends only where it is one. The syntax is JavaScript's, read with the flag `u` whether it is there or not; without
   * other flags, look-around (`(?=…)`, `\b`), references (`\1`) and nested classes. Text that `maxTokens` or `stop` cuts is the beginning of a
   * match.
   */
  pattern?: RegExp | string;
  /** Told each token; must be quick. What it throws ends the call, with code `bad-input`. */
  onToken?: (token: TokenEvent) => void;
}

/** A text, and what it took. */
export interface Written {
  /** The text. */
  text: string;
  /** Its tokens, with those of a stop string. */
  tokens: Uint32Array;
  /**
   * `"stop"`: the model, or a stop string, ended it. `"length"`: it has as many tokens as were asked for. `"context"`: there was no more
   * room.
   */
  finish: Finish;
  /** Tokens of the prompt, images included. */
  promptTokens: number;
  /** Those of them that stand for images. */
  imageTokens: number;
  /** Milliseconds from the call's turn to the first token: images and prompt; of a text that beams have found, to all of it. */
  firstTokenMs: number;
  /** Of those after the first; null if there was only one. */
  tokensPerSecond: number | null;
  /** With `choices`: how likely each of them was, in their order. */
  choices?: Choice[];
  /** Of a text that beams have found: the mean of the natural logarithms of its tokens' probabilities. */
  score?: number;
}

/** What {@link Vlm.detect} and {@link Vlm.segment} take. */
export interface LocateOptions extends CallOptions {
  /** Most tokens of an answer: 5 or 6 a box, 21 or 22 a mask. Default 1024. */
  maxTokens?: number;
}

/** A thing that the model has written of. There is no score: it names what it takes to be there. */
export interface Located {
  /** What it is, as given. */
  label: string;
  /** Place of the label among those given. */
  index: number;
  /** Where it is, in pixels of the upright image. The model tells 1,024 places along each side. */
  box: Box;
}

/** The same with its outline. */
export interface LocatedMask extends Located {
  /**
   * Which of the image's pixels belong to it; its logits are of the box. Null where the model wrote a box alone, and where its folder
   * has no `masks.safetensors`.
   */
  mask: Mask | null;
}

/** What {@link Vlm.load} takes. */
export interface VlmOptions extends LoadOptions, ContextOptions {}

/** What {@link Vlm.chat} takes; how its texts are written unless a call says otherwise. */
export interface ChatOptions extends Omit<WriteOptions, "signal" | "onToken"> {
  /** What the model is told before anything else. */
  system?: string;
  /** What was said before. */
  messages?: readonly Message[];
}

/** What is said in a chat: the user's words, with images or without, or messages. */
export type Turn = string | Words | readonly Message[];
