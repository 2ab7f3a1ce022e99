import type { Ocelli } from "ocelli";
import type { Hit, ImageIndex } from "ocelli/index";
import { folderOf } from "../../state/files.ts";
import { collection, type Meta } from "../../state/library/collection.ts";
import { models } from "../../state/models.ts";
import { remembered, Store } from "../../state/store.ts";
import { directionOf, wrongSentence, type Query } from "./query.ts";

/** Hits that are shown at first, and that "Show more" adds. */
const STEP = 24;
/** Milliseconds without a key before words are looked for, and between two looks at a collection that grows. */
const PAUSE = 200;

/**
 * None at first: of 416 drawings of OpenMoji the built-in model has 69.0 % first for their bare names, 68.8 % for "a picture of a {}" and
 * for "a {} icon"; and who writes a sentence means it.
 */
const sentence = remembered("search.sentence", "");

/**
 * The pictures of the collection that come nearest to a query. One search at a time: what was asked meanwhile is next, and of
 * that the newest alone. Until then the last hits stay.
 */
class Searching extends Store {
  query: Query = { words: "" };
  /** The folder that is searched; all folders if empty. */
  folder = "";
  hits: readonly Hit<Meta>[] = [];
  /** The query of the hits. */
  answered: Query | undefined;
  /** Whether there are more hits than are shown. */
  more = false;
  failed: unknown;
  #sentence = sentence.get();
  #count = STEP;
  /** Counts what is asked: words, the sentence around them, the folder, how many hits. */
  #asked = 0;
  /** Which of it the hits answer. */
  #shown = 0;
  #waiting: number | undefined;
  #running = false;
  #again = false;
  /** The direction of a query, which a longer list of hits or a collection that grows need not make again. */
  #known: { query: Query; sentence: string; model: Ocelli; direction: Float32Array | undefined } | undefined;
  /** The state of the collection that was searched. */
  #seen: { index: ImageIndex<Meta> | undefined; size: number } | undefined;

  constructor() {
    super();
    collection.addEventListener("change", () => this.#look());
  }

  /** The sentence around words as it is typed; while it is wrong, the last right one is used. */
  get sentence(): string {
    return this.#sentence;
  }

  set sentence(written: string) {
    this.#sentence = written;
    if (!wrongSentence(written)) sentence.set(written);
    this.#soon(true);
    this.changed();
  }

  /** Whether there is a query. */
  get asks(): boolean {
    return !("words" in this.query) || this.query.words.trim() !== "";
  }

  /** Whether the hits are not yet those of what is asked. */
  get behind(): boolean {
    return this.asks && this.#shown !== this.#asked;
  }

  /** @param typing More may come: no key was pressed for a while first. */
  ask(query: Query, typing = false): void {
    this.query = query;
    this.failed = undefined;
    this.#count = STEP;
    if (!this.asks) this.#take([], undefined);
    this.#soon(typing);
    this.changed();
  }

  within(folder: string): void {
    this.folder = folder;
    this.#count = STEP;
    this.#soon();
    this.changed();
  }

  showMore(): void {
    this.#count += STEP;
    this.#soon();
    this.changed();
  }

  again(): void {
    this.failed = undefined;
    this.#soon();
    this.changed();
  }

  /** Searches again if the collection or the model has changed. */
  #look(): void {
    if (this.folder && !collection.folders.some(({ name }) => name === this.folder)) this.folder = "";
    const { index } = collection;
    const seen = { index, size: index?.size ?? 0 };
    if (seen.index === this.#seen?.index && seen.size === this.#seen?.size) return;
    if (seen.index !== this.#seen?.index) this.#take([], undefined);
    this.#seen = seen;
    // Not put off by the next change, for a collection that grows changes all the time.
    this.#waiting ??= window.setTimeout(() => void this.#run(), PAUSE);
  }

  #soon(typing = false): void {
    this.#asked++;
    clearTimeout(this.#waiting);
    this.#waiting = window.setTimeout(() => void this.#run(), typing ? PAUSE : 0);
  }

  async #run(): Promise<void> {
    this.#waiting = undefined;
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#again) {
      this.#again = false;
      await this.#answer();
    }
    this.#running = false;
  }

  async #answer(): Promise<void> {
    const [{ query, folder }, { index }, { model }] = [this, collection, models];
    const asked = this.#asked;
    if (!this.asks || !index || !model || model.info.modelHash !== index.modelHash) return;
    try {
      const direction = await this.#direction(query, sentence.get(), model, index);
      const filter = ({ id }: { id: string }) =>
        (!folder || folderOf(id) === folder) && !("like" in query && id === query.like);
      // One more, to know whether there are more.
      const found = direction ? await index.search(direction, { k: this.#count + 1, filter }) : [];
      if (query === this.query && index === collection.index) this.#take(found, query, asked);
    } catch (error) {
      if (query !== this.query || index !== collection.index || model !== models.model) return; // the next answer is on its way
      this.failed = error;
      this.#shown = asked;
      this.changed();
    }
  }

  async #direction(
    query: Query,
    sentence: string,
    model: Ocelli,
    index: ImageIndex<Meta>,
  ): Promise<Float32Array | undefined> {
    if ("like" in query) return index.vector(query.like);
    const known = this.#known;
    if (known && known.query === query && known.sentence === sentence && known.model === model) return known.direction;
    const direction =
      "words" in query ? await directionOf(query.words, sentence, model) : await model.embedImage(query.picture);
    this.#known = { query, sentence, model, direction };
    return direction;
  }

  #take(found: readonly Hit<Meta>[], query: Query | undefined, asked = this.#shown): void {
    this.#shown = asked;
    this.hits = found.slice(0, this.#count);
    this.more = found.length > this.#count;
    this.answered = query;
    this.failed = undefined;
    this.changed();
  }
}

export const searching = new Searching();
