import { aborted, OcelliError } from "../error.js";
import type { ModelSource } from "../source/types.js";
import type { Chat } from "./chat.js";
import { patternOfSchema, UnsupportedSchema } from "./schema.js";
import { textStream, type TextStream } from "./text-stream.js";
import type { ContentPart, VlmOptions, WriteOptions, Written } from "./types.js";
import { Vlm } from "./vlm-model.js";

/** Whether a session can begin at once, or a model comes over the network first; or whether there will be none. */
export type Availability = "unavailable" | "downloadable" | "available";

/** A message as the Prompt API has it. */
export interface LanguageModelMessage {
  /** Who says it. */
  role: "system" | "user" | "assistant";
  /** Words, or words and images. */
  content: string | readonly ContentPart[];
}

/** What is said: a text of the user's, or messages of which the last is the user's. */
export type LanguageModelPrompt = string | readonly LanguageModelMessage[];

/** What a session will be given, or give. */
export interface Expected {
  /** `"text"` or `"image"`. */
  type: string;
  /** In which languages; it is not looked at. */
  languages?: readonly string[];
}

/** What {@link LanguageModel.create} takes. */
export interface LanguageModelOptions {
  /** A model that is loaded, which stays when the session is destroyed; or where its files are. */
  model: Vlm | ModelSource;
  /** How it is loaded. */
  load?: Omit<VlmOptions, "signal" | "onProgress">;
  /** What was said before. It is never forgotten. */
  initialPrompts?: readonly LanguageModelMessage[];
  /** Text and images. */
  expectedInputs?: readonly Expected[];
  /** Text. */
  expectedOutputs?: readonly Expected[];
  /** Default 0: the likeliest token each time. */
  temperature?: number;
  /** Draws from so many of the likeliest tokens. */
  topK?: number;
  /** Ends the load. */
  signal?: AbortSignal;
  /** Is given a target of `downloadprogress` events, whose `loaded` goes from 0 to 1. */
  monitor?: (monitor: EventTarget) => void;
}

/** What a prompt takes. */
export interface LanguageModelPromptOptions {
  /** Ends the answer with the signal's reason. */
  signal?: AbortSignal;
  /**
   * What the answer matches: a regular expression, as {@link WriteOptions.pattern}, or a JSON schema of objects with fixed properties, arrays,
   * strings, numbers, `enum`, `const` and `anyOf`. Other schemas are refused with a `NotSupportedError` that begins with
   * `unsupported-schema`.
   */
  responseConstraint?: RegExp | object;
}

/**
 * A {@link Chat} in the shape of the browser's own `LanguageModel` (the Prompt API), for code that knows that. Errors are the browser's
 * where it has one: the signal's reason, `QuotaExceededError`, `NotSupportedError`; others are an {@link OcelliError}.
 *
 * ```ts
 * const session = await LanguageModel.create({ model: "hf:HuggingFaceTB/SmolVLM-256M-Instruct", load: { format: "q8", worker: true } });
 * const answer = await session.prompt([{ role: "user", content: [{ type: "text", value: "What is this?" }, { type: "image", value: file }] }]);
 * ```
 */
export class LanguageModel extends EventTarget {
  /** Told when the session has forgotten its oldest words, because there was no room for new ones. */
  oncontextoverflow: ((event: Event) => unknown) | null = null;
  readonly #chat: Chat;
  readonly #options: WriteOptions;
  /** To be disposed of with the session. */
  readonly #own: Vlm | undefined;
  /** Sessions that the model of its own is for. */
  readonly #users: { count: number };
  #destroyed = false;

  private constructor(chat: Chat, options: WriteOptions, own: Vlm | undefined, users = { count: 0 }) {
    super();
    this.#chat = chat;
    this.#options = options;
    this.#own = own;
    this.#users = users;
    users.count += 1;
    this.addEventListener("contextoverflow", (event) => this.oncontextoverflow?.(event));
  }

  /** Whether {@link LanguageModel.create} has to fetch the model. What is in the cache counts as to be fetched, too. */
  static async availability({
    model,
    expectedInputs = [],
    expectedOutputs = [],
  }: LanguageModelOptions): Promise<Availability> {
    if (unsupported(expectedInputs, expectedOutputs) || typeof WebAssembly === "undefined") return "unavailable";
    return typeof model === "string" || model instanceof URL ? "downloadable" : "available";
  }

  /** Begins a session. */
  static async create(options: LanguageModelOptions): Promise<LanguageModel> {
    const { model, load, initialPrompts = [], expectedInputs = [], expectedOutputs = [], signal, monitor } = options;
    const { temperature, topK } = options;
    const wrong = unsupported(expectedInputs, expectedOutputs);
    if (wrong) throw notSupported(wrong);
    return inWords(signal, async () => {
      const progress = new EventTarget();
      monitor?.(progress);
      const tell = (loaded: number) =>
        progress.dispatchEvent(new ProgressEvent("downloadprogress", { lengthComputable: true, loaded, total: 1 }));
      if (signal?.aborted) throw aborted(signal.reason);
      const given = model instanceof Vlm;
      const vlm = given
        ? model
        : await Vlm.load(model, {
            ...load,
            ...(signal && { signal }),
            onProgress: ({ fraction = 0 }) => tell(fraction),
          });
      if (given) tell(1);
      try {
        const chat = vlm.chat({ messages: initialPrompts });
        // Counts them, or finds them too long.
        if (initialPrompts.length > 0) await chat.append([], signalOf(signal));
        const how = { ...(temperature !== undefined && { temperature }), ...(topK !== undefined && { topK }) };
        return new LanguageModel(chat, { maxTokens: Infinity, ...how }, given ? undefined : vlm);
      } catch (error) {
        if (!given) vlm.dispose();
        throw error;
      }
    });
  }

  /** Tokens of the session so far. */
  get contextUsage(): number {
    return this.#chat.contextUsage;
  }

  /** Most tokens that there is room for. */
  get contextWindow(): number {
    return this.#chat.contextWindow;
  }

  /** Answers. */
  prompt(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): Promise<string> {
    return inWords(options.signal, async () => (await this.#write(input, options, options.signal, () => {})).text);
  }

  /** Answers, part by part. */
  promptStreaming(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): TextStream {
    return textStream(options.signal, (signal, tell) =>
      inWords(options.signal, () => this.#write(input, options, signal, tell)),
    );
  }

  /** Says something that is not to be answered yet. */
  append(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): Promise<void> {
    return inWords(options.signal, () => this.#fitting(() => this.#chat.append(input, signalOf(options.signal))));
  }

  /** Tokens that this prompt adds to the session. */
  measureContextUsage(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): Promise<number> {
    return inWords(options.signal, async () => {
      const how = signalOf(options.signal);
      const before = this.#chat.messages.length > 0 ? await this.#chat.measure([], how) : 0;
      return (await this.#chat.measure(input, how)) - before;
    });
  }

  /** Another session in which the same was said. */
  async clone(options: { signal?: AbortSignal } = {}): Promise<LanguageModel> {
    return inWords(options.signal, async () => {
      if (options.signal?.aborted) throw aborted(options.signal.reason, "call");
      return new LanguageModel(this.#chat.clone(), this.#options, this.#own, this.#users);
    });
  }

  /** Ends the session, and with its last session a model that it has loaded. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#chat.destroy();
    this.#users.count -= 1;
    if (this.#users.count === 0) this.#own?.dispose();
  }

  async #write(
    input: LanguageModelPrompt,
    { responseConstraint }: LanguageModelPromptOptions,
    signal: AbortSignal | undefined,
    tell: (part: string) => void,
  ): Promise<Written> {
    const pattern = patternOf(responseConstraint);
    const options = { ...this.#options, ...(pattern !== undefined && { pattern }), ...signalOf(signal) };
    return this.#fitting(() => this.#chat.write(input, options, tell));
  }

  /** Forgets what was said first until there is room: a prompt that is too long is refused before anything runs. */
  async #fitting<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof OcelliError && error.code === "context-full" && this.#chat.forget())) throw error;
        this.dispatchEvent(new Event("contextoverflow"));
      }
    }
  }
}

/** @throws {DOMException} `NotSupportedError` for a schema that is not understood. */
function patternOf(constraint: RegExp | object | undefined): RegExp | string | undefined {
  if (constraint === undefined || constraint instanceof RegExp) return constraint;
  try {
    return patternOfSchema(constraint);
  } catch (error) {
    if (!(error instanceof UnsupportedSchema)) throw error;
    throw new DOMException(`unsupported-schema: responseConstraint: ${error.message}.`, "NotSupportedError");
  }
}

const signalOf = (signal: AbortSignal | undefined) => (signal ? { signal } : {});

/** What is expected and cannot be. */
function unsupported(inputs: readonly { type: string }[], outputs: readonly { type: string }[]): string | undefined {
  const input = inputs.find(({ type }) => type !== "text" && type !== "image");
  const output = outputs.find(({ type }) => type !== "text");
  return (input && `expectedInputs of ${input.type}`) ?? (output && `expectedOutputs of ${output.type}`);
}

const notSupported = (what: string) => new DOMException(`Ocelli does not support ${what}.`, "NotSupportedError");

/** Does `work`, with errors as the Prompt API has them. */
async function inWords<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof OcelliError ? error.code : undefined;
    if (code === "aborted" && signal?.aborted) throw signal.reason;
    if (code === "context-full") throw new DOMException((error as Error).message, "QuotaExceededError");
    throw error;
  }
}
