import type { Classification, ImageInput, Ocelli } from "ocelli";
import type { Question } from "./labels.ts";

export interface Ask {
  model: Ocelli;
  image: ImageInput;
  question: Question;
}

export interface Listener {
  answered(ask: Ask, answer: Classification[], milliseconds: number): void;
  failed(ask: Ask, error: unknown): void;
}

/**
 * Asks one question at a time and reports only the newest one. A run on the GPU cannot be called back, so a newer question
 * waits for it and drops its answer; of several waiting ones only the last is asked.
 */
export class Asker {
  #newest: Ask | undefined;
  #busy = false;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly listener: Listener) {}

  ask(ask: Ask): void {
    this.#newest = ask;
    if (!this.#busy) this.#running = this.#drain();
  }

  /** Whatever is under way will not be reported. */
  forget(): void {
    this.#newest = undefined;
  }

  /** Resolves when no run is under way: a model must not be disposed of before. */
  async idle(): Promise<void> {
    while (this.#busy) await this.#running;
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    let done: Ask | undefined;
    for (let ask = this.#newest; ask && ask !== done; ask = this.#newest) {
      done = ask;
      await this.#run(ask);
    }
    this.#busy = false;
  }

  async #run(ask: Ask): Promise<void> {
    const { labels, template, score } = ask.question;
    const start = performance.now();
    try {
      const answer = await ask.model.classify(ask.image, labels, { template, score, topK: labels.length });
      if (this.#newest === ask) this.listener.answered(ask, answer, performance.now() - start);
    } catch (error) {
      if (this.#newest === ask) this.listener.failed(ask, error);
    }
  }
}
