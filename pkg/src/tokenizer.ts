import { OcelliError, wrap } from "./error.js";
import { describe } from "./load.js";
import { RemoteFolder } from "./remote.js";
import { folderUrl } from "./address.js";
import { abandon, alive, modules, start } from "./wasm.js";
import type { WasmOptions } from "./types.js";
import type { TokenizerEngine } from "../wasm/ocelli_tokenizer.js";

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
  readonly #start: number;

  private constructor(engine: TokenizerEngine, start: number) {
    this.#engine = engine;
    this.#start = start;
  }

  /**
   * Loads the tokenizer of a model folder.
   *
   * @param folder URL of the folder, relative to the page.
   * @throws {OcelliError} See {@link ErrorCode}.
   */
  static async load(folder: string | URL, options: WasmOptions & { signal?: AbortSignal } = {}): Promise<Tokenizer> {
    const { signal = new AbortController().signal } = options;
    try {
      const url = folderUrl(folder);
      return await Tokenizer.from(new RemoteFolder(url, signal, () => {}), url.href, options);
    } catch (error) {
      throw wrap(error);
    }
  }

  /** @internal */
  static async from(remote: RemoteFolder, label: string, options: WasmOptions): Promise<Tokenizer> {
    const number = await start("tokenizer", options);
    const { ModelFolder, TokenizerEngine } = modules.tokenizer;
    const known = new ModelFolder(label, "text");
    try {
      await describe(remote, known, "small files");
      return new Tokenizer(new TokenizerEngine(known), number);
    } catch (error) {
      if (wrap(error).code === "internal") abandon("tokenizer", number);
      throw error;
    } finally {
      if (alive("tokenizer", number)) known.free();
    }
  }

  /** The token ids that the text tower is fed, padding included. */
  encode(text: string): Uint32Array {
    if (!this.#engine) throw new OcelliError("disposed", "This tokenizer was disposed of: load it again.");
    if (typeof text !== "string") throw new OcelliError("bad-input", `text: expected a string, found ${typeof text}.`);
    try {
      return this.#engine.encode(text);
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
