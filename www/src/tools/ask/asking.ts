import type { Chat, TextStream, Vlm, WriteOptions } from "ocelli/vlm";
import { writers } from "../../state/models.ts";
import type { Picture } from "../../state/picture.ts";
import { shown } from "../../state/shown.ts";
import { Store } from "../../state/store.ts";
import type { Asked } from "./suggested.ts";

/** A question about the picture, and as much of its answer as is written. */
export interface Exchange {
  readonly question: string;
  /** What the model is asked. */
  readonly asked: Asked;
  answer: string;
  state: "waiting" | "writing" | "done" | "stopped" | "failed";
  error?: unknown;
  /** Tokens a second, of a whole answer of several. */
  rate?: number | null;
}

/** Tokens of an answer, at most. */
const MOST = 400;

/** What was asked about the picture of the page, and answered: one question at a time. Another picture is another conversation. */
class Asking extends Store {
  thread: Exchange[] = [];
  #about: { picture: Picture; model: Vlm; chat: Chat } | undefined;
  #stop: AbortController | undefined;

  constructor() {
    super();
    shown.addEventListener("change", () => this.#forget());
    writers.addEventListener("change", () => this.changed());
  }

  get busy(): boolean {
    return this.#stop !== undefined;
  }

  /** Asks; `question` is what the thread shows. */
  async ask(question: string, asked: Asked): Promise<void> {
    const { picture } = shown;
    const { model } = writers;
    if (!picture || !model || this.busy || !question.trim()) return;
    const stop = (this.#stop = new AbortController());
    const exchange: Exchange = { question: question.trim(), asked, answer: "", state: "waiting" };
    this.thread = [...this.thread, exchange];
    this.changed();
    try {
      await this.#write(exchange, picture, model, stop.signal).catch((error: { code?: string }) => {
        if (error.code !== "context-full" || !this.#about?.chat.messages.length) throw error;
        // No room for all that was said: the picture and this question have it.
        this.#about = undefined;
        return this.#write(exchange, picture, model, stop.signal);
      });
      exchange.state = "done";
    } catch (error) {
      exchange.state = stop.signal.aborted ? "stopped" : "failed";
      exchange.error = error;
    }
    if (this.#stop === stop) this.#stop = undefined;
    this.changed();
  }

  /** Ends the answer that is being written; what is there stays. */
  stop(): void {
    this.#stop?.abort();
  }

  async #write(exchange: Exchange, picture: Picture, model: Vlm, signal: AbortSignal): Promise<void> {
    const { asked } = exchange;
    if ("task" in asked) {
      const said = await model.task(picture.blob, asked.task, { signal });
      exchange.answer = "text" in said ? said.text : namesOf(said.regions);
      return;
    }
    const options = { maxTokens: MOST, signal };
    const stream: TextStream =
      "prompt" in asked
        ? this.#talk(asked.prompt, picture, model, options)
        : model.stream({ ...asked, image: picture.blob }, options);
    for await (const part of stream) {
      exchange.answer += part;
      exchange.state = "writing";
      this.changed();
    }
    exchange.rate = (await stream.written).tokensPerSecond;
  }

  /** Goes on with the conversation about a picture, or begins one. */
  #talk(prompt: string, picture: Picture, model: Vlm, options: WriteOptions): TextStream {
    if (this.#about?.picture !== picture || this.#about.model !== model)
      this.#about = { picture, model, chat: model.chat() };
    const { chat } = this.#about;
    return chat.stream(chat.messages.length === 0 ? { image: picture.blob, prompt } : prompt, options);
  }

  #forget(): void {
    if (this.#about?.picture === shown.picture) return;
    this.#stop?.abort();
    this.#stop = this.#about = undefined;
    this.thread = [];
    this.changed();
  }
}

/** What there is, each once: "dog, ball". */
function namesOf(regions: readonly { label: string }[]): string {
  return [...new Set(regions.map(({ label }) => label))].filter(Boolean).join(", ") || "Nothing found.";
}

export const asking = new Asking();
