import { OcelliError } from "../error.js";
import type { Detail, Manner } from "./plain.js";
import type { WriteOptions } from "./types.js";

/** Tokens of a text, unless a call says otherwise. */
const MAX_TOKENS = 256;

/** How a text is to be written. @throws {OcelliError} With code `bad-input` for what makes no sense. */
export function mannerOf(options: WriteOptions): Manner {
  const { detail = "auto", maxTokens = MAX_TOKENS, temperature = 0, topK, topP = 1, repetitionPenalty = 1 } = options;
  const { seed = 0, beams, specialTokens = false, choices, pattern } = options;
  requireDetail(detail);
  require("maxTokens", "a whole number of at least 1, or Infinity", maxTokens, maxTokens === Infinity ||
    whole(maxTokens, 1));
  require("temperature", "0 or a positive number", temperature, finite(temperature) && temperature >= 0);
  require("topK", "a whole number of at least 1", topK, topK === undefined || topK === Infinity || whole(topK, 1));
  require("topP", "a number above 0 and at most 1", topP, finite(topP) && topP > 0 && topP <= 1);
  require("repetitionPenalty", "a positive number", repetitionPenalty, finite(repetitionPenalty) &&
    repetitionPenalty > 0);
  require("seed", "a whole number of at least 0", seed, whole(seed, 0));
  require("beams", "a whole number of at least 1", beams, beams === undefined || whole(beams, 1));
  require("specialTokens", "true or false", specialTokens, typeof specialTokens === "boolean");
  require("choices", "an array of texts", choices, choices === undefined || texts(choices));
  if (choices !== undefined && pattern !== undefined)
    throw new OcelliError("bad-input", "choices, pattern: expected one of the two, found both.");
  const free = temperature === 0 && repetitionPenalty === 1 && choices === undefined && pattern === undefined;
  require("beams", "1 or none beside temperature, repetitionPenalty, choices and pattern", beams, free ||
    (beams ?? 1) === 1);
  return {
    detail,
    maxTokens: most(maxTokens),
    temperature,
    topK: topK === undefined ? undefined : most(topK),
    topP,
    repetitionPenalty,
    seed,
    beams,
    specialTokens,
    choices: choices && [...choices],
    pattern: pattern === undefined ? undefined : sourceOf(pattern),
  };
}

/** The source of a pattern. What it says is looked at where tokens are known. @throws {OcelliError} With code `bad-input`. */
function sourceOf(pattern: RegExp | string): string {
  if (typeof pattern === "string") return pattern;
  require("pattern", "a regular expression or its source", pattern, pattern instanceof RegExp);
  require("pattern", "no flags but u", pattern.flags, pattern.flags === "" || pattern.flags === "u");
  return pattern.source;
}

/** Strings that end the text. @throws {OcelliError} With code `bad-input` for others than texts. */
export function stopsOf({ stop = [] }: WriteOptions): readonly string[] {
  require("stop", "an array of texts, none of them empty", stop, texts(stop) && !stop.includes(""));
  return stop;
}

/** @throws {OcelliError} With code `bad-input`. */
export function requireDetail(detail: Detail): void {
  require("detail", '"low", "auto" or "high"', detail, ["low", "auto", "high"].includes(detail));
}

const texts = (given: unknown): given is string[] =>
  Array.isArray(given) && given.every((one) => typeof one === "string");
const finite = (given: unknown) => Number.isFinite(given);
const whole = (given: unknown, least: number) => Number.isSafeInteger(given) && (given as number) >= least;
/** None for more than the engine can count. */
const most = (given: number) => (given < 2 ** 32 ? given : undefined);

function require(name: string, expected: string, given: unknown, sound: boolean): void {
  if (!sound)
    throw new OcelliError(
      "bad-input",
      `${name}: expected ${expected}, found ${JSON.stringify(given) ?? String(given)}.`,
    );
}
