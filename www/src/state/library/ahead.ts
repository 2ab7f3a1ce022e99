/** Works that are under way at a time, at most. */
const LANES = 5;

/**
 * The results of `work` for some items, in order, begun ahead of whoever takes them. What waits to be taken or is under way weighs about
 * `most` at most, where one under way counts as much as the heaviest so far.
 */
export class Ahead<Item, Result> {
  readonly #begun: Promise<Result>[] = [];
  #next = 0;
  #underWay = 0;
  #weight = 0;
  #heaviest = 0;

  constructor(
    private readonly items: readonly Item[],
    /** Must not reject. */
    private readonly work: (item: Item) => Promise<Result>,
    private readonly weigh: (result: Result) => number,
    private readonly most: number,
  ) {}

  /** The next results: `count`, or fewer if they weigh half of `most`; none if all were taken. */
  async take(count: number): Promise<Result[]> {
    const taken: Result[] = [];
    let weight = 0;
    this.#begin();
    while (taken.length < count && this.#begun.length > 0 && weight < this.most / 2) {
      const result = await (this.#begun.shift() as Promise<Result>);
      taken.push(result);
      weight += this.weigh(result);
    }
    this.#weight -= weight;
    this.#begin();
    return taken;
  }

  /** What was begun and not taken; nothing more begins. */
  end(): Promise<Result[]> {
    this.#next = this.items.length;
    return Promise.all(this.#begun.splice(0));
  }

  #begin(): void {
    while (this.#next < this.items.length && this.#underWay < LANES && this.#hasRoom()) {
      this.#underWay++;
      const result = this.work(this.items[this.#next++] as Item);
      this.#begun.push(result);
      void result.then((made) => {
        const weight = this.weigh(made);
        this.#underWay--;
        this.#weight += weight;
        this.#heaviest = Math.max(this.#heaviest, weight);
        this.#begin();
      });
    }
  }

  #hasRoom(): boolean {
    const expected = this.#weight + (this.#underWay + 1) * this.#heaviest;
    return expected <= this.most || (this.#begun.length === 0 && this.#underWay === 0);
  }
}
