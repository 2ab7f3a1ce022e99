import { OcelliError, wrap } from "./error.js";
import { describe } from "./load.js";
import { meant } from "./source/advice.js";
import type { Folder } from "./source/folder.js";
import { openFolder, plainSource } from "./source/open.js";
import type { ModelSource, SourceOptions } from "./source/types.js";
import { abandon, alive, modules, start } from "./wasm.js";
import type { WasmOptions } from "./types.js";
import type { PromptRequest } from "./vlm/plain.js";
import type { TokenGuide, TokenizerEngine, TokenStream } from "../wasm/ocelli_tokenizer.js";

/** Token ids that come one by one become a text. */
type TextStream = Pick<TokenStream, "push" | "finish" | "free">;

/** The same where not all tokens may come. */
type TextGuide = TextStream & Pick<TokenGuide, "allowed">;

/**
 * A model's tokenizer alone: no weights are fetched, and no GPU is needed.
 *
 * ```ts
 * const tokenizer = await Tokenizer.load("/models/ocelli-tiny/");
 * const ids = tokenizer.encode("a cat");
 * ```
 */
export class Tokenizer {
  #engine: TokenizerEngine | undefined;
  readonly #start: number;

  private constructor(engine: TokenizerEngine, start: number) {
    this.#engine = engine;
    this.#start = start;
  }

  /**
   * Loads the tokenizer of a model folder.
   *
   * @param source As for {@link Ocelli.load}.
   * @throws {OcelliError} See {@link ErrorCode}.
   */
  static async load(
    source: ModelSource,
    options: WasmOptions & SourceOptions & { signal?: AbortSignal } = {},
  ): Promise<Tokenizer> {
    const { signal = new AbortController().signal } = options;
    try {
      return await Tokenizer.from(await openFolder(plainSource(source), options, signal), options, signal);
    } catch (error) {
      throw meant(source, wrap(error));
    }
  }

  /** @internal */
  static async from(folder: Folder, options: WasmOptions, signal: AbortSignal): Promise<Tokenizer> {
    const number = await start("tokenizer", options, signal);
    const { ModelFolder, TokenizerEngine } = modules.tokenizer;
    const known = new ModelFolder(folder.label, "text");
    try {
      await describe(folder, known, "small files", signal);
      const tokenizer = new Tokenizer(new TokenizerEngine(known), number);
      folder.cache.commit();
      return tokenizer;
    } catch (error) {
      const { code } = wrap(error);
      if (code === "internal") abandon("tokenizer", number);
      // What is broken must not be met again.
      if (code === "bad-checkpoint") await folder.cache.abandon();
      throw error;
    } finally {
      if (alive("tokenizer", number)) known.free();
      await folder.cache.settled();
    }
  }

  /** The token ids that the text tower is fed, padding included. */
  encode(text: string): Uint32Array {
    return this.#run((engine) => {
      if (typeof text !== "string")
        throw new OcelliError("bad-input", `text: expected a string, found ${typeof text}.`);
      return engine.encode(text);
    });
  }

  /**
   * The token ids of a part of a prompt: none of them is a special token's, whatever the text says.
   *
   * @internal
   */
  encodePlain(text: string): Uint32Array {
    return this.#run((engine) => engine.encodePlain(text));
  }

  /**
   * Whether a text is longer than the text tower takes: then its end is not among the ids, but for the end token.
   *
   * @internal
   */
  cuts(text: string): boolean {
    return this.#run((engine) => engine.cuts(text));
  }

  /**
   * The text of token ids, without special tokens unless they are asked for.
   *
   * @internal
   */
  decode(ids: Uint32Array, skipSpecial = true): string {
    return this.#run((engine) => engine.decode(ids, skipSpecial));
  }

  /**
   * What a decoder is fed: token ids, and from 2³¹ on the rows of images' tokens. Of each image `layouts` has the rows and columns of its
   * tiles and how many tokens it becomes.
   *
   * @throws {OcelliError} With code `context-full` if there are more than `most`.
   * @internal
   */
  prompt(request: PromptRequest, layouts: Uint32Array, most: number): Uint32Array {
    return this.#run((engine) => engine.prompt(JSON.stringify(request), layouts, most));
  }

  /**
   * The tokens of answers to a prompt, which is given likewise.
   *
   * @throws {OcelliError} With code `bad-input` for no answers, an empty one, two that are the same, and one that cannot stand there.
   * @internal
   */
  answers(request: PromptRequest, layouts: Uint32Array, most: number, answers: readonly string[]): Uint32Array[] {
    return this.#run((engine) => engine.answers(JSON.stringify(request), layouts, most, [...answers]));
  }

  /**
   * The tokens that end a text.
   *
   * @internal
   */
  stops(): Uint32Array {
    return this.#run((engine) => engine.stops());
  }

  /**
   * Makes a text of token ids that come one by one.
   *
   * @internal
   */
  stream(skipSpecial: boolean): TextStream {
    const stream = this.#run((engine) => engine.stream(skipSpecial));
    return {
      push: (id) => this.#run(() => stream.push(id)),
      finish: () => this.#run(() => stream.finish()),
      free: () => {
        if (alive("tokenizer", this.#start)) stream.free();
      },
    };
  }

  /**
   * A text that keeps to a pattern, behind a prompt that is given likewise. `allowed` are the tokens that may come next, a bit each.
   *
   * @throws {OcelliError} With code `bad-input` for a pattern that is none.
   * @internal
   */
  guide(request: PromptRequest, layouts: Uint32Array, most: number, pattern: string): TextGuide {
    const guide = this.#run((engine) => engine.guide(JSON.stringify(request), layouts, most, pattern));
    return {
      allowed: () => this.#run(() => guide.allowed()),
      push: (id) => this.#run(() => guide.push(id)),
      // A character that was begun is no part of it.
      finish: () => "",
      free: () => {
        if (alive("tokenizer", this.#start)) guide.free();
      },
    };
  }

  #run<T>(work: (engine: TokenizerEngine) => T): T {
    if (!this.#engine) throw new OcelliError("disposed", "This tokenizer was disposed of: load it again.");
    try {
      return work(this.#engine);
    } catch (error) {
      const wrapped = wrap(error);
      if (wrapped.code === "internal") {
        this.#engine = undefined;
        abandon("tokenizer", this.#start);
      }
      throw wrapped;
    }
  }

  /** Frees its memory. */
  dispose(): void {
    if (alive("tokenizer", this.#start)) this.#engine?.free();
    this.#engine = undefined;
  }
}
