import { aborted, OcelliError, wrap } from "../error.js";
import { abortable } from "../shared.js";
import { Turns } from "../turns.js";
import { askedBy, heldOf, requireQuestion, saidOf, turnOf, type Said } from "./messages.js";
import { textStream, type TextStream } from "./text-stream.js";
import type { ChatOptions, DetailOptions, Message, Turn, WriteOptions, Written } from "./types.js";
import type { Writer } from "./writer.js";
import { WritingError } from "./writing-error.js";

/**
 * A conversation. What was said stays in it, images as well, and goes before the next question. The engine keeps what it has computed of
 * the last prompt, so that a turn costs what is new in it. One question at a time is answered; others wait.
 *
 * ```ts
 * const chat = model.chat({ system: "Answer in one sentence." });
 * const { text } = await chat.prompt({ image, prompt: "What is this?" });
 * for await (const part of chat.stream("And what is behind it?")) output.append(part);
 * ```
 */
export class Chat {
  readonly #writer: Writer;
  readonly #options: Omit<ChatOptions, "system" | "messages">;
  /** How many of the first messages stay when the oldest are forgotten. */
  readonly #first: number;
  #said: Said[];
  #usage: number;
  readonly #turns = new Turns();
  readonly #end = new AbortController();

  /** @internal */
  constructor(
    writer: Writer,
    options: Omit<ChatOptions, "system" | "messages">,
    said: Said[],
    first: number,
    usage = 0,
  ) {
    this.#writer = writer;
    this.#options = options;
    this.#said = said;
    this.#first = first;
    this.#usage = usage;
  }

  /** @internal */
  static of(writer: Writer, { system, messages = [], ...options }: ChatOptions): Chat {
    if (system !== undefined && typeof system !== "string")
      throw new OcelliError("bad-input", `system: expected a text, found ${typeof system}.`);
    const said = saidOf([...(system === undefined ? [] : [{ role: "system", content: system } as const]), ...messages]);
    return new Chat(writer, options, said, said.length);
  }

  /** All that was said, in order. */
  get messages(): Message[] {
    return this.#said.map(({ role, content }) => ({
      role,
      content: content.map((part) =>
        typeof part === "string" ? { type: "text", text: part } : { type: "image", image: part.image },
      ),
    }));
  }

  /** Tokens of the last question with all before it, and of its answer; 0 before the first, after {@link Chat.append} counted anew. */
  get contextUsage(): number {
    return this.#usage;
  }

  /** Most tokens that there is room for: `context` of the model's info. */
  get contextWindow(): number {
    return this.#writer.model.info.context ?? 0;
  }

  /**
   * Asks, and answers with all that was said before. A call that fails, or is stopped, leaves the chat as it was.
   *
   * @throws {WritingError} With what was written before; with code `context-full` if the chat has become too long, before anything runs.
   */
  prompt(turn: Turn, options: WriteOptions = {}): Promise<Written> {
    return this.write(turn, options, () => {});
  }

  /** The same, part by part as it is written. */
  stream(turn: Turn, options: WriteOptions = {}): TextStream {
    return textStream(options.signal, (signal, tell) => this.write(turn, { ...options, signal }, tell));
  }

  /** Says something that is not to be answered yet. */
  append(turn: Turn, options: DetailOptions = {}): Promise<void> {
    return this.#inTurn(options.signal, async (signal) => {
      const said = [...this.#said, ...(await abortable(signal, heldOf(turnOf(turn), signal), "call"))];
      const usage = await this.#count(said, { ...options, signal });
      if (usage >= this.contextWindow) {
        const found = `expected less than ${this.contextWindow} tokens, found ${usage}`;
        throw new OcelliError(
          "context-full",
          `chat: ${found}: start another one, or load the model with a larger context.`,
        );
      }
      this.#said = said;
      this.#usage = usage;
    });
  }

  /** Tokens that the next prompt would have with this turn. */
  measure(turn: Turn, options: DetailOptions = {}): Promise<number> {
    return this.#count([...this.#said, ...turnOf(turn)], options);
  }

  /** Another chat in which the same was said. What is said in one of them from now on, the other does not know. */
  clone(): Chat {
    this.#check();
    return new Chat(this.#writer, this.#options, [...this.#said], this.#first, this.#usage);
  }

  /** Forgets the oldest question and its answer, but nothing that the chat began with; false if there is none. */
  forget(): boolean {
    const rest = this.#said.slice(this.#first);
    const next = rest.findIndex(({ role }, at) => at > 0 && role === "user" && rest[at - 1]?.role === "assistant");
    if (next < 0 && rest.at(-1)?.role !== "assistant") return false;
    this.#said.splice(this.#first, next < 0 ? rest.length : next);
    return true;
  }

  /** Ends what it is asked, and lets go of what was said. The model stays. */
  destroy(): void {
    this.#end.abort();
    this.#said = [];
    this.#usage = 0;
  }

  /** @internal */
  async write(turn: Turn, options: WriteOptions, tell: (part: string) => void): Promise<Written> {
    const written = this.#inTurn(options.signal, async (signal) => {
      const now = turnOf(turn);
      requireQuestion(now);
      const said = [...this.#said, ...(await abortable(signal, heldOf(now, signal), "call"))];
      const written = await this.#writer.write(() => askedBy(said), { ...this.#options, ...options, signal }, tell);
      // Templates put blanks around an answer themselves.
      this.#said = [...said, { role: "assistant", content: [written.text.trim()] }];
      this.#usage = written.promptTokens + written.tokens.length;
      return written;
    });
    return written.catch((error: unknown) => {
      throw error instanceof WritingError ? error : new WritingError("", wrap(error));
    });
  }

  #count(said: Said[], options: DetailOptions): Promise<number> {
    return this.#writer.count(() => askedBy(said), { ...this.#options, ...options });
  }

  /** Does `work` when what was asked before is answered. Its signal fires with the caller's, and at the chat's end. */
  async #inTurn<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#check();
    const stop = new AbortController();
    const relay = () => stop.abort(signal?.reason);
    if (signal?.aborted) relay();
    signal?.addEventListener("abort", relay);
    this.#end.signal.addEventListener("abort", relay);
    try {
      const leave = await this.#turns.enter(stop.signal);
      try {
        if (stop.signal.aborted) throw aborted(stop.signal.reason, "call");
        return await work(stop.signal);
      } finally {
        leave();
      }
    } finally {
      signal?.removeEventListener("abort", relay);
      this.#end.signal.removeEventListener("abort", relay);
    }
  }

  #check(): void {
    if (this.#end.signal.aborted) throw new OcelliError("disposed", "This chat was destroyed: start another one.");
  }
}
