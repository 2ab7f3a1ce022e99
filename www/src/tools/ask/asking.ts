import type { Chat, TextStream, VisionTask, Vlm } from "ocelli/vlm";
import { writers } from "../../state/models.ts";
import type { Picture } from "../../state/picture.ts";
import { shown } from "../../state/shown.ts";
import { Store } from "../../state/store.ts";

/** A question about the picture, and as much of its answer as is written. */
export interface Exchange {
  readonly question: string;
  /** What Florence-2 is asked in its place. */
  readonly task: TextTask | undefined;
  answer: string;
  state: "waiting" | "writing" | "done" | "stopped" | "failed";
  error?: unknown;
  /** Tokens a second, of a whole answer of several. */
  rate?: number | null;
}

/** Tasks that need nothing but a picture, and are answered in words or names. */
export type TextTask = Extract<
  VisionTask,
  "caption" | "detailed-caption" | "more-detailed-caption" | "ocr" | "object-detection"
>;

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

  async ask(question: string, task?: TextTask): Promise<void> {
    const { picture } = shown;
    const { model } = writers;
    if (!picture || !model || this.busy || !question.trim()) return;
    const stop = (this.#stop = new AbortController());
    const exchange: Exchange = { question: question.trim(), task, answer: "", state: "waiting" };
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
    if (exchange.task) {
      const said = await model.task(picture.blob, exchange.task, { signal });
      exchange.answer = "text" in said ? said.text : namesOf(said.regions);
      return;
    }
    if (this.#about?.picture !== picture || this.#about.model !== model)
      this.#about = { picture, model, chat: model.chat() };
    const { chat } = this.#about;
    const { question } = exchange;
    const turn = chat.messages.length === 0 ? { image: picture.blob, prompt: question } : question;
    const stream: TextStream = chat.stream(turn, { maxTokens: MOST, signal });
    for await (const part of stream) {
      exchange.answer += part;
      exchange.state = "writing";
      this.changed();
    }
    exchange.rate = (await stream.written).tokensPerSecond;
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
