import { parseLabels } from "../state/label-list.ts";
import type { Loadable, Models } from "../state/models.ts";
import type { Picture } from "../state/picture.ts";
import { shown } from "../state/shown.ts";
import { remembered, Store } from "../state/store.ts";

/** A model that looks at a picture once, and is then asked about what it saw. */
interface Looker<Scene> extends Loadable {
  look(picture: Blob, options: { signal: AbortSignal }): Promise<Scene>;
}

/** Milliseconds without a key until words count as typed. */
const TYPING = 400;

/**
 * What words find in the picture of the page. A model looks at each picture once; words are asked about what it saw. The newest question
 * wins, and nothing is computed while nobody looks.
 */
export abstract class Looking<Scene, Found, Model extends Looker<Scene>> extends Store {
  readonly #text: ReturnType<typeof remembered<string>>;
  #open = false;
  #running = false;
  /** What is being looked at, or asked about. */
  #under: { picture: Picture; stop: AbortController } | undefined;
  #typing = 0;
  #scene: { picture: Picture; model: Model; scene: Scene } | undefined;
  #answer: { picture: Picture; model: Model; question: string; words: readonly string[]; found: Found } | undefined;
  #failed: { picture: Picture; model: Model; question: string; error: unknown } | undefined;

  /**
   * @param models What looks.
   * @param key Under which the words are remembered.
   * @param first The words to start with.
   */
  constructor(
    readonly models: Models<Model>,
    key: string,
    first: string,
  ) {
    super();
    this.#text = remembered(key, first);
    for (const store of [models, shown]) store.addEventListener("change", () => this.settle());
  }

  /** Asks about what was seen. */
  protected abstract ask(scene: Scene, words: readonly string[], signal: AbortSignal): Promise<Found>;

  /** What decides the answer besides the words, as text. */
  protected get manner(): string {
    return "";
  }

  /** The words as typed, with commas between. */
  get text(): string {
    return this.#text.get();
  }

  get words(): string[] {
    return parseLabels(this.text);
  }

  /** Changes the words; `typing` waits until no key was pressed for a while. */
  write(text: string, typing = false): void {
    this.#text.set(text);
    clearTimeout(this.#typing);
    this.#typing = typing ? window.setTimeout(() => this.#typed(), TYPING) : 0;
    this.settle();
  }

  /** Whether anyone looks at the answer. */
  set open(open: boolean) {
    this.#open = open;
    if (!open) this.#under?.stop.abort();
    this.settle();
  }

  /** The last answer for this picture, also while the next one is computed. */
  get found(): Found | undefined {
    const { picture, model } = this.#answer ?? {};
    return picture && picture === shown.picture && model === this.models.model ? this.#answer?.found : undefined;
  }

  /** The words of {@link found}. */
  get asked(): readonly string[] {
    return this.found === undefined ? [] : (this.#answer?.words ?? []);
  }

  /** Whether an answer is being computed. */
  get waiting(): boolean {
    return (
      this.models.model !== undefined && this.words.length > 0 && !this.#is(this.#answer) && !this.#is(this.#failed)
    );
  }

  /** Why there is no answer. */
  get failed(): unknown {
    return this.#is(this.#failed) ? this.#failed?.error : undefined;
  }

  again(): void {
    this.#failed = undefined;
    this.settle();
  }

  /** Looks and asks until the newest question is answered. */
  protected settle(): void {
    this.changed();
    void this.#work();
  }

  get #question(): string {
    return JSON.stringify([this.words, this.manner]);
  }

  /** Whether an answer, or a failure, is that of the newest question. */
  #is(of: { picture: Picture; model: Model; question: string } | undefined): boolean {
    return of?.picture === shown.picture && of?.model === this.models.model && of?.question === this.#question;
  }

  #typed(): void {
    this.#typing = 0;
    this.settle();
  }

  async #work(): Promise<void> {
    if (this.#running) {
      // What looks at another picture is of no use.
      if (this.#under?.picture !== shown.picture) this.#under?.stop.abort();
      return;
    }
    this.#running = true;
    while (this.#open && !this.#typing && shown.picture && this.waiting) {
      const { model } = this.models;
      if (model) await this.#step(model, shown.picture);
    }
    this.#running = false;
    this.changed();
  }

  async #step(model: Model, picture: Picture): Promise<void> {
    const stop = new AbortController();
    this.#under = { picture, stop };
    const { words } = this;
    const question = this.#question;
    try {
      if (this.#scene?.picture !== picture || this.#scene.model !== model) {
        this.#scene = undefined;
        const scene = await model.look(picture.blob, { signal: stop.signal });
        this.#scene = { picture, model, scene };
      }
      if (!this.#open) return;
      const found = await this.ask(this.#scene.scene, words, stop.signal);
      this.#answer = { picture, model, question, words, found };
      this.changed();
    } catch (error) {
      if (!stop.signal.aborted) this.#failed = { picture, model, question, error };
    }
  }
}
