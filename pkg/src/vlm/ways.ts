import { OcelliError } from "../error.js";
import type { Running } from "../running.js";
import type { Tokenizer } from "../tokenizer.js";
import type { Engine } from "../../wasm/ocelli_vlm.js";
import type { Finish, Step } from "./plain.js";

/** How a text is written, as the engine takes it. */
export type WritingOptions = Parameters<Engine["generate"]>[1];

/** A text's way through the engine, after its images: the parts of its prompt, then what follows from them. */
export interface Way {
  step(): Promise<Step>;
  /** Lets go of it. */
  drop(): void;
}

/** Does something with the tokenizer. */
export type Tokenized = <T>(work: (tokenizer: Tokenizer) => T) => Promise<T>;

/** What makes a text of tokens, and may say which of them may come. */
export type Characters = ReturnType<Tokenizer["stream"]> & { allowed?(): Uint32Array };

/** A text is written, or the likeliest one is searched for, as the model has it. */
export function written(
  running: Running,
  ids: Uint32Array,
  options: WritingOptions,
  characters: Characters,
  tokenized: Tokenized,
): Way {
  const searching = running.engine.search(ids, options);
  if (!searching) return byToken(running, ids, options, characters, tokenized);
  return {
    async step() {
      if (!(await running.borrow((engine) => engine.searchOn(searching)))) return { text: "" };
      const [tokens, score, finish] = [searching.tokens(), searching.score(), searching.finish() as Finish];
      return tokenized(() => {
        const parts = Array.from(tokens, (token) => characters.push(token));
        return { text: parts.join("") + characters.finish(), finish, whole: { tokens, score } };
      });
    },
    drop: () => running.drop(searching),
  };
}

/** A text is written token by token. */
function byToken(
  running: Running,
  ids: Uint32Array,
  options: WritingOptions,
  characters: Characters,
  tokenized: Tokenized,
): Way {
  const writing = running.engine.generate(ids, options);
  let read = false;
  return {
    async step() {
      if (!read) {
        read = await running.borrow((engine) => engine.readPrompt(writing));
        return { text: "" };
      }
      const allowed = await tokenized(() => characters.allowed?.());
      const token = await running.borrow((engine) => engine.nextToken(writing, allowed));
      return tokenized(() =>
        token === undefined
          ? { text: characters.finish(), finish: writing.finish() as Finish }
          : { text: characters.push(token), token },
      );
    },
    drop: () => running.drop(writing),
  };
}

/** One of several answers is chosen. `answers` are their tokens. */
export function chosen(
  running: Running,
  ids: Uint32Array,
  options: WritingOptions,
  choices: readonly string[],
  answers: readonly Uint32Array[],
): Way {
  const choosing = running.engine.choose(ids, [...answers], options);
  return {
    async step() {
      if (!(await running.borrow((engine) => engine.weigh(choosing)))) return { text: "" };
      const [place, logs, shares] = [choosing.pick(), choosing.logProbabilities(), choosing.probabilities()];
      const [text, tokens] = [choices[place], answers[place]];
      if (text === undefined || !tokens)
        throw new OcelliError("internal", `choices: expected a place, found ${place}.`);
      const likely = choices.map((text, at) => ({
        text,
        probability: shares[at] as number,
        logProbability: logs[at] as number,
      }));
      return { text, finish: "stop", whole: { tokens, choices: likely } };
    },
    drop: () => running.drop(choosing),
  };
}
