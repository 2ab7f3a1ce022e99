import type { Captioning, Question, VisionTask, Vlm } from "ocelli/vlm";

/** Tasks that need nothing but a picture, and are answered in words or names. */
export type TextTask = Extract<
  VisionTask,
  "caption" | "detailed-caption" | "more-detailed-caption" | "ocr" | "object-detection"
>;

/** What a model is asked about the picture: in words of the user's own, or in the way that it was trained for. */
export type Asked = { prompt: string } | Omit<Question, "image"> | Omit<Captioning, "image"> | { task: TextTask };

/** What stands on a button, and what is then asked. */
export interface Suggestion {
  words: string;
  asked: Asked;
}

/** What stands on a button that begins a question, and what stands before and behind the name of a thing in it. */
export type Opening = readonly [words: string, before: string, behind: string];

/** How a family of models is asked. */
export interface Manner {
  /** What many people ask; the first is the first thing to try. */
  readonly suggestions: readonly [Suggestion, ...Suggestion[]];
  readonly openings: readonly Opening[];
  /** How a question in the user's own words is asked; undefined of models that take none. */
  readonly asked?: (question: string) => Asked;
}

const HOW_MANY: Opening = ["How many …?", "How many ", " are there?"];

/** Models that talk. */
const talks: Manner = {
  suggestions: [
    say("Describe", "Describe this image."),
    say("One line", "Describe this image in one short sentence."),
    say("Detailed", "Describe this image in detail."),
    say("Read the text", "What text is in this image? Write it out exactly."),
  ],
  openings: [HOW_MANY],
  asked: (prompt) => ({ prompt }),
};

/** PaliGemma knows a few kinds of questions, and forgets what was asked before. */
const answers: Manner = {
  suggestions: [
    { words: "Describe", asked: { caption: true } },
    { words: "What is this?", asked: { question: "what is this?" } },
  ],
  openings: [
    ["Is there …?", "Is there a ", "?"],
    HOW_MANY,
    ["What colour …?", "What colour is the ", "?"],
    ["Where is …?", "Where is the ", "?"],
  ],
  // As it was trained: "is there a dog?"
  asked: (question) => ({ question: question.charAt(0).toLowerCase() + question.slice(1) }),
};

/** Florence-2 knows tasks in place of questions. */
const obeys: Manner = {
  suggestions: [
    { words: "Caption", asked: { task: "caption" } },
    { words: "Detailed", asked: { task: "detailed-caption" } },
    { words: "A paragraph", asked: { task: "more-detailed-caption" } },
    { words: "Read the text", asked: { task: "ocr" } },
    { words: "Name what is there", asked: { task: "object-detection" } },
  ],
  openings: [],
};

function say(words: string, prompt: string): Suggestion {
  return { words, asked: { prompt } };
}

export function mannerOf({ family }: Vlm["info"]): Manner {
  return family === "florence2" ? obeys : family === "paligemma" ? answers : talks;
}
