import type { Ocelli } from "ocelli";
import type { Hit, ImageIndex } from "ocelli/index";
import { collection, type Meta } from "../../state/library/collection.ts";
import { models } from "../../state/models.ts";
import { remembered, Store } from "../../state/store.ts";
import { anyWords, dot, likely, usualOf } from "./likely.ts";
import { directionOf, wrongSentence, type Direction, type Query } from "./query.ts";
import { filtering } from "./filtering.ts";

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
  hits: readonly Hit<Meta>[] = [];
  /** Paths of the hits that are likely none. */
  less: ReadonlySet<string> = new Set();
  /** The query of the hits. */
  answered: Query | undefined;
  /** Whether there are more hits than are shown. */
  more = false;
  failed: unknown;
  #sentence = sentence.get();
  #count = STEP;
  #filter = filtering.filter;
  /** Counts what is asked: words, the sentence around them, the filter, how many hits. */
  #asked = 0;
  /** Which of it the hits answer. */
  #shown = 0;
  #waiting: number | undefined;
  #running = false;
  #again = false;
  /** The direction of a query, which a longer list of hits or a collection that grows need not make again. */
  #known: { query: Query; sentence: string; model: Ocelli; direction: Direction | undefined } | undefined;
  /** What the hits are judged by: words of all kinds, embedded after the first answer. */
  #any: { model: Ocelli; words: Float32Array[] } | undefined;
  /** The state of the collection that was searched. */
  #seen: { index: ImageIndex<Meta> | undefined; size: number } | undefined;

  constructor() {
    super();
    collection.addEventListener("change", () => this.#look());
    filtering.addEventListener("change", () => this.#narrowed());
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
    const { index } = collection;
    const seen = { index, size: index?.size ?? 0 };
    if (seen.index === this.#seen?.index && seen.size === this.#seen?.size) return;
    if (seen.index !== this.#seen?.index) this.#take([], undefined);
    this.#seen = seen;
    // Not put off by the next change, for a collection that grows changes all the time.
    this.#waiting ??= window.setTimeout(() => void this.#run(), PAUSE);
  }

  /** Searches again among other photos. */
  #narrowed(): void {
    if (filtering.filter === this.#filter) return;
    this.#filter = filtering.filter;
    this.#count = STEP;
    this.#soon();
    this.changed();
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
    const [{ query }, { index }, { model }] = [this, collection, models];
    const asked = this.#asked;
    if (!this.asks || !index || !model || model.info.modelHash !== index.modelHash) return;
    try {
      const direction = await this.#direction(query, sentence.get(), model, index);
      const filter = ({ id }: { id: string }) => filtering.passes(id) && !("like" in query && id === query.like);
      // One more, to know whether there are more.
      const found = direction ? await index.search(direction.vector, { k: this.#count + 1, filter }) : [];
      if (query !== this.query || index !== collection.index) return;
      this.#take(found, query, asked, direction?.wanted);
      if (direction?.wanted && this.#any?.model !== model) {
        this.#any = { model, words: await anyWords(model) };
        if (query === this.query && index === collection.index) this.#take(found, query, asked, direction.wanted);
      }
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
  ): Promise<Direction | undefined> {
    if ("like" in query) {
      const vector = index.vector(query.like);
      return vector && { vector };
    }
    const known = this.#known;
    if (known && known.query === query && known.sentence === sentence && known.model === model) return known.direction;
    const direction =
      "words" in query
        ? await directionOf(query.words, sentence, model)
        : { vector: await model.embedImage(query.picture) };
    this.#known = { query, sentence, model, direction };
    return direction;
  }

  #take(found: readonly Hit<Meta>[], query: Query | undefined, asked = this.#shown, wanted?: Float32Array): void {
    this.#shown = asked;
    this.hits = found.slice(0, this.#count);
    this.less = wanted ? this.#lessLikely(wanted) : new Set();
    this.more = found.length > this.#count;
    this.answered = query;
    this.failed = undefined;
    this.changed();
  }

  #lessLikely(wanted: Float32Array): ReadonlySet<string> {
    const { words, model } = this.#any ?? {};
    const { index } = collection;
    if (!words || !index || model !== models.model) return new Set();
    const vectors = this.hits.map(({ id }) => index.vector(id) ?? new Float32Array(index.dim));
    const unit = 1 / Math.hypot(...wanted);
    const are = likely(
      vectors.map((vector) => unit * dot(vector, wanted)),
      vectors.map((vector) => usualOf(vector, words)),
    );
    return new Set(this.hits.filter((_, i) => !are[i]).map(({ id }) => id));
  }
}

export const searching = new Searching();
