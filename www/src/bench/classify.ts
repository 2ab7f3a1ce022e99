// Classification: pictures, labels, and both towers in one call.
import type { Classifier } from "./engine.ts";
import { median, nameOf, type Row } from "./figures.ts";
import { BATCH, Bench, inWords, type Runner } from "./run.ts";

/** Batches are not run where one picture takes longer, nor calls that will take longer. */
const MOST_PICTURE_MS = 20_000;
const MOST_CALL_MS = 60_000;

/** What an engine has answered and learnt so far. */
interface Known {
  embedding?: Float32Array;
  /** For the four labels. */
  four?: number[] | undefined;
  /** Labels learnt so far, which an engine may remember, and what each of them took. */
  learnt: number;
  label: number;
}

export class ClassifyBench extends Bench<Classifier> {
  readonly #known = new Map<Runner<Classifier>, Known>();

  protected async measure(): Promise<void> {
    for (const runner of this.runners) this.#known.set(runner, { learnt: 0, label: Infinity });
    if (this.settings.zeroShot) return this.#zeroShot();
    await this.#shareSquare();
    await this.#pictures();
    for (const count of this.settings.brief ? [] : ([2, 100, 1000] as const)) await this.#labels(count);
  }

  #of(runner: Runner<Classifier>): Known {
    return this.#known.get(runner) as Known;
  }

  async #zeroShot(): Promise<void> {
    const able = this.runners.filter(({ engine }) => engine.zeroShot);
    await this.turns("zeroShot", able, async (runner) => {
      this.#of(runner).four = await runner.engine.zeroShot?.();
    });
    const keeps = able.filter(({ engine }) => engine.zeroShotKept);
    await this.turns("zeroShotKept", keeps, async ({ engine }) => void (await engine.zeroShotKept?.()));
  }

  /** All see the same square, so that their embeddings can be compared. */
  async #shareSquare(): Promise<void> {
    const square = await this.runners.find(({ engine }) => engine.square)?.engine.square?.();
    if (square) for (const { engine } of this.runners) engine.see?.(square);
  }

  async #pictures(): Promise<void> {
    await this.turns("picture1", this.runners, async (runner) => {
      const embedding = await runner.engine.pictures(1);
      if (embedding.length) this.#of(runner).embedding = new Float32Array(embedding);
    });
    const able = this.runners.filter(({ column }) => {
      const one = median(column.figures.picture1?.samples ?? []);
      if (!this.settings.brief && (this.settings.long || one < MOST_PICTURE_MS)) return true;
      column.figures.picture8 = { samples: [], note: "not run" };
      return false;
    });
    await this.turns("picture8", able, async ({ engine }) => void (await engine.pictures(BATCH)), BATCH);
  }

  async #labels(count: 2 | 100 | 1000): Promise<void> {
    const row: Row = `labels${count}`;
    const ready: Runner<Classifier>[] = [];
    for (const runner of this.runners) {
      const { column } = runner;
      if (column.engine.startsWith("transformers")) {
        // A picture of its is a question with two labels: the same call.
        if (count === 2) column.figures[row] = column.figures.picture1 ?? { samples: [] };
        // Of a call, a fifth at least is the labels' own.
        const before = column.figures[count === 100 ? "labels2" : "labels100"]?.samples ?? [];
        const expected = (median(before) * count) / (count === 100 ? 2 : 100) / 5;
        if (count === 2) continue;
        if (!this.settings.long && !(expected < MOST_CALL_MS)) {
          column.figures[row] = { samples: [], note: "not run" };
          continue;
        }
      }
      await this.step(`${count} labels: ${column.engine}`);
      const different = column.engine.startsWith("transformers") ? count : this.#different(runner, count);
      const start = performance.now();
      try {
        await runner.engine.learn(count, different);
        const known = this.#of(runner);
        if (different > known.learnt) {
          known.label = (performance.now() - start) / (different - known.learnt);
          known.learnt = different;
        }
        if (different < count) column.figures[row] = { samples: [], note: `${different} different labels, repeated` };
        ready.push(runner);
      } catch (error) {
        column.figures[row] = { samples: [], note: `failed: ${inWords(error)}` };
      }
    }
    await this.turns(row, ready, async (runner) => {
      const scores = await runner.engine.classify();
      if (count === 2) runner.scores = [...scores];
    });
  }

  /** Learning may take very long where scoring does not: then few labels are learnt, and repeated. */
  #different(runner: Runner<Classifier>, count: number): number {
    const { label } = this.#of(runner);
    if (count === 2 || this.settings.long || label * count < MOST_CALL_MS) return count;
    return Math.max(2, Math.min(count, Math.trunc(MOST_CALL_MS / 2 / label)));
  }

  protected compare(): void {
    const [base] = this.runners;
    if (!base) return;
    const first = this.#of(base);
    for (const runner of this.runners.slice(1)) {
      const { column, scores } = runner;
      const { embedding, four } = this.#of(runner);
      // A library's two backends have the same weights, and should have the same answers.
      const [library] = column.engine.split("-");
      const other = this.runners.find((one) => this.#of(one).four && one.column.engine.startsWith(library as string));
      const others = other && this.#of(other).four;
      if (four && others && other.column !== column) {
        // Of random weights all scores are nearly 0: their log-odds are what can be told apart.
        const off = apart(four.map(logOdds), others.map(logOdds));
        column.agrees = `log-odds of four labels off ${nameOf(other.column.engine)}'s by at most ${off.toPrecision(2)}`;
      } else if (four) {
        continue;
      } else if (embedding && first.embedding) {
        column.agrees = `cosine to ${nameOf(base.column.engine)}'s embedding ${cosine(embedding, first.embedding).toFixed(6)}`;
      } else if (scores.length === base.scores.length) {
        const off = apart(scores, base.scores);
        column.agrees = `scores of two labels off ${nameOf(base.column.engine)}'s by at most ${off.toPrecision(2)}`;
      }
    }
  }
}

const apart = (a: number[], b: number[]): number => Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? NaN))));

const logOdds = (score: number): number => Math.log(score / (1 - score));

function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}
