/// <reference lib="esnext.disposable" preserve="true" />
import { loadModel } from "../load-model.js";
import type { Model } from "../model.js";
import type { ModelSource } from "../source/types.js";
import type { ImageInput, CallOptions, ModelEvents, ModelInfo, Verification } from "../types.js";
import { Chat } from "./chat.js";
import { detect, segment } from "./locate.js";
import { askedOf } from "./messages.js";
import { task } from "./task.js";
import type { TaskAnswers, TaskArguments, VisionTask } from "./tasks.js";
import { textStream, type TextStream } from "./text-stream.js";
import type {
  ChatOptions,
  DetailOptions,
  Located,
  LocatedMask,
  LocateOptions,
  Prompt,
  VlmOptions,
  WriteOptions,
  Written,
} from "./types.js";
import { Writer } from "./writer.js";

/**
 * A model that reads words and images, and writes: SmolVLM, PaliGemma, LLaVA or Florence-2; or one that reads words alone, such as Llama,
 * Qwen or Gemma.
 *
 * ```ts
 * const model = await Vlm.load("hf:HuggingFaceTB/SmolVLM-256M-Instruct", { format: "q8", worker: true });
 * const { text } = await model.generate({ image: file, prompt: "What is this?" });
 * ```
 */
export class Vlm {
  readonly #model: Model;
  readonly #writer: Writer;

  private constructor(model: Model) {
    this.#model = model;
    this.#writer = new Writer(model);
  }

  /**
   * Loads a model that writes: with the options of `Ocelli.load`, and from the same sources.
   *
   * @throws {OcelliError} With code `wrong-model` if it does not write, before its weights are fetched; else see {@link ErrorCode}.
   */
  static async load(source: ModelSource, options: VlmOptions = {}): Promise<Vlm> {
    return new Vlm(await loadModel(source, options, "generate"));
  }

  /** What was loaded, and on what. */
  get info(): ModelInfo {
    return this.#model.info;
  }

  /** Listens to what happens without a call: see `Ocelli.on`. Returns how to stop listening. */
  on<E extends keyof ModelEvents>(event: E, listener: (info: ModelInfo) => void): () => void {
    return this.#model.on(event, listener);
  }

  /**
   * Writes what follows. One text at a time is written; other calls wait.
   *
   * ```ts
   * const { text, finish } = await model.generate(
   *   { messages: [{ role: "user", content: [{ type: "image", image: file }, { type: "text", text: "How many dogs?" }] }] },
   *   { maxTokens: 50, signal: stop.signal },
   * );
   * ```
   *
   * @throws {WritingError} With what was written before, if anything was. With code `context-full` and both numbers, before anything runs,
   * if the prompt is longer than there is room for.
   */
  generate(prompt: Prompt, options: WriteOptions = {}): Promise<Written> {
    return this.#writer.write(() => askedOf(prompt), options);
  }

  /**
   * The same, part by part as it is written, in whole characters.
   *
   * ```ts
   * const stream = model.stream({ image: file, prompt: "Describe this." });
   * for await (const part of stream) output.append(part);
   * console.log((await stream.written).tokensPerSecond);
   * ```
   */
  stream(prompt: Prompt, options: WriteOptions = {}): TextStream {
    return textStream(options.signal, (signal, tell) =>
      this.#writer.write(() => askedOf(prompt), { ...options, signal }, tell),
    );
  }

  /** Describes an image, asked in the way that the model was trained for: `generate({ image, caption: true })`. */
  caption(image: ImageInput, options: WriteOptions = {}): Promise<Written> {
    return this.generate({ image, caption: true }, options);
  }

  /** Answers a question about an image, likewise: `generate({ image, question })`. */
  ask(image: ImageInput, question: string, options: WriteOptions = {}): Promise<Written> {
    return this.generate({ image, question }, options);
  }

  /**
   * Finds things by words, with a model that writes where they are: PaliGemma. What it writes amiss, or of labels that were not asked for,
   * is left out.
   *
   * ```ts
   * for (const { label, box } of await model.detect(file, ["cat", "dog"])) console.log(label, box.x, box.y);
   * ```
   *
   * @throws {WritingError} With code `wrong-model` if the model does not write places.
   */
  detect(image: ImageInput, labels: string | readonly string[], options: LocateOptions = {}): Promise<Located[]> {
    return detect(this.#writer, image, labels, options);
  }

  /** Cuts things out by words, likewise; each label is a question of its own. */
  segment(image: ImageInput, labels: string | readonly string[], options: LocateOptions = {}): Promise<LocatedMask[]> {
    return segment(this.#writer, image, labels, options);
  }

  /**
   * What Florence-2 was trained to be asked, by name; the type of the answer follows from it.
   *
   * ```ts
   * const { text } = await model.task(file, "detailed-caption");
   * const { regions } = await model.task(file, "open-vocabulary-detection", { text: "a red car" });
   * for (const { label, box } of regions) console.log(label, box.x, box.y);
   * ```
   *
   * @throws {WritingError} With code `wrong-model` if the model has no tasks, `bad-input` for a task that there is not, or without what
   * comes with it.
   */
  task<T extends VisionTask>(image: ImageInput, name: T, ...[options]: TaskArguments<T>): Promise<TaskAnswers[T]> {
    return task(this.#writer, image, name, options);
  }

  /** Tokens of a prompt, those of its images included. Nothing runs. */
  countTokens(prompt: Prompt, options: DetailOptions = {}): Promise<number> {
    return this.#writer.count(() => askedOf(prompt), options);
  }

  /** Begins a conversation. */
  chat(options: ChatOptions = {}): Chat {
    return Chat.of(this.#writer, options);
  }

  /** Whether this device computes correctly: see `Ocelli.verify`. */
  verify(options: CallOptions = {}): Promise<Verification> {
    return this.#model.call(options, (core) => core.verify());
  }

  /** Frees the device's memory, after texts that are under way; a worker ends with it. */
  dispose(): void {
    this.#model.dispose();
  }

  /** For `using model = await Vlm.load(…)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
