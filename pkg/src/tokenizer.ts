import { OcelliError, wrap } from "./error.js";
import { describe } from "./load.js";
import { openFolder } from "./source/open.js";
import type { ModelSource, SourceOptions } from "./source/types.js";
import { start } from "./start.js";
import { ModelFolder, TokenizerEngine } from "../wasm/ocelli.js";

/**
 * A model's tokenizer by itself: no weights are fetched, and no GPU is needed.
 *
 * ```ts
 * const tokenizer = await Tokenizer.load("/models/ocelli-tiny/");
 * const ids = tokenizer.encode("a cat");
 * ```
 */
export class Tokenizer {
  #engine: TokenizerEngine | undefined;

  private constructor(engine: TokenizerEngine) {
    this.#engine = engine;
  }

  /**
   * Loads the tokenizer of a model folder.
   *
   * @param source As for {@link Ocelli.load}.
   * @throws {OcelliError} See {@link ErrorCode}.
   */
  static async load(source: ModelSource, options: SourceOptions & { wasmUrl?: string | URL; signal?: AbortSignal } = {}): Promise<Tokenizer> {
    const { wasmUrl, signal = new AbortController().signal } = options;
    try {
      await start(wasmUrl);
      const folder = await openFolder(source, options, signal);
      const known = new ModelFolder(folder.label, "text");
      try {
        await describe(folder, known, "small files", signal);
        return new Tokenizer(new TokenizerEngine(known));
      } finally {
        known.free();
        await folder.cache.settled();
      }
    } catch (error) {
      throw wrap(error);
    }
  }

  /** The token ids that the text tower is fed, padding included. */
  encode(text: string): Uint32Array {
    if (!this.#engine) throw new OcelliError("disposed", "This tokenizer was disposed of: load it again.");
    if (typeof text !== "string") throw new OcelliError("bad-input", `text: expected a string, found ${typeof text}.`);
    try {
      return this.#engine.encode(text);
    } catch (error) {
      throw wrap(error);
    }
  }

  /** Frees its memory. */
  dispose(): void {
    this.#engine?.free();
    this.#engine = undefined;
  }
}
