import { OcelliError, wrap } from "./error.js";
import { describe } from "./load.js";
import { RemoteFolder } from "./remote.js";
import { folderUrl, start } from "./start.js";
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
   * @param folder URL of the folder, relative to the page.
   * @throws {OcelliError} See {@link ErrorCode}.
   */
  static async load(folder: string | URL, options: { wasmUrl?: string | URL; signal?: AbortSignal } = {}): Promise<Tokenizer> {
    const { wasmUrl, signal = new AbortController().signal } = options;
    try {
      await start(wasmUrl);
      const url = folderUrl(folder);
      const known = new ModelFolder(url.href, "text");
      try {
        await describe(new RemoteFolder(url, signal, () => {}), known, "small files");
        return new Tokenizer(new TokenizerEngine(known));
      } finally {
        known.free();
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
