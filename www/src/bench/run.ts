// The order of things: every engine is loaded in a frame of its own, then they take turns.
import type { Engine, Frame, Wish } from "./engine.ts";
import { median, nameOf, type Column, type Figure, type Result, type Row } from "./figures.ts";

export interface Settings extends Omit<Wish, "engine" | "keep"> {
  engines: string[];
  /** Whether to run each of Ocelli's kernel tiers, too. */
  tiers: boolean;
  rounds: number;
  /** Whether to run measurements that take very long. */
  long: boolean;
  /** Whether to run single pictures only, without batches and labels. */
  brief: boolean;
  /** Whether to run nothing but pictures with four labels, both towers in each call. */
  zeroShot: boolean;
}

/** An answer that takes longer is slow: no warm-up for it, and few rounds. */
const SLOW_MS = 10_000;
const SLOW_ROUNDS = 2;
/** Batches are not run where one picture takes longer, nor calls that will take longer. */
const MOST_PICTURE_MS = 20_000;
const MOST_CALL_MS = 60_000;
const BATCH = 8;

interface Runner {
  column: Column;
  engine: Engine;
  frame: HTMLIFrameElement;
  slow: boolean;
  embedding?: Float32Array;
  scores?: number[];
  /** For the four labels. */
  four?: number[] | undefined;
  /** Labels learnt so far, which an engine may remember, and what each of them took. */
  learnt: number;
  label: number;
}

export class Bench {
  readonly #runners: Runner[] = [];

  constructor(
    private readonly settings: Settings,
    private readonly place: HTMLElement,
    private readonly result: Result,
    /** Called after every step: the result has grown, and this is done next. */
    private readonly step: (next: string) => Promise<void>,
  ) {}

  async run(): Promise<void> {
    try {
      for (const engine of this.settings.engines) await this.#load(engine);
      const tiers = this.settings.tiers
        ? (this.#runners.find(({ column }) => column.engine === "ocelli")?.engine.tiers ?? [])
        : [];
      for (const tier of tiers) await this.#load(`ocelli:${tier}`);
      if (this.settings.zeroShot) await this.#zeroShot();
      else await this.#everything();
      this.#compare();
    } finally {
      for (const { frame } of this.#runners) frame.remove();
      await this.step("");
    }
  }

  async #load(id: string): Promise<void> {
    const column: Column = { engine: id, facts: "", figures: {} };
    this.result.columns.push(column);
    await this.step(`loading ${id}`);
    const { model, precision } = this.settings;
    const frame = document.createElement("iframe");
    frame.title = id;
    const start = performance.now();
    try {
      const inside = await opened(frame, this.place);
      const engine = await inside.load({ engine: id, model, precision, keep: false }, BATCH);
      const asked = performance.now();
      const scores = await engine.answer();
      const done = performance.now();
      column.facts = engine.facts;
      column.figures.cold = { samples: [done - start] };
      column.figures.bytes = { samples: [downloaded(frame)] };
      this.#runners.push({
        column,
        engine,
        frame,
        slow: done - asked > SLOW_MS && !this.settings.long,
        scores,
        learnt: 0,
        label: Infinity,
      });
    } catch (error) {
      column.error = inWords(error);
      frame.remove();
    }
  }

  async #everything(): Promise<void> {
    await this.#shareSquare();
    await this.#pictures();
    for (const count of this.settings.brief ? [] : ([2, 100, 1000] as const)) await this.#labels(count);
  }

  async #zeroShot(): Promise<void> {
    const able = this.#runners.filter(({ engine }) => engine.zeroShot);
    await this.#turns("zeroShot", able, async (runner) => {
      runner.four = await runner.engine.zeroShot?.();
    });
    const keeps = able.filter(({ engine }) => engine.zeroShotKept);
    await this.#turns("zeroShotKept", keeps, async ({ engine }) => void (await engine.zeroShotKept?.()));
  }

  /** All see the same square, so that their embeddings can be compared. */
  async #shareSquare(): Promise<void> {
    const square = await this.#runners.find(({ engine }) => engine.square)?.engine.square?.();
    if (square) for (const { engine } of this.#runners) engine.see?.(square);
  }

  async #pictures(): Promise<void> {
    await this.#turns("picture1", this.#runners, async (runner) => {
      const embedding = await runner.engine.pictures(1);
      if (embedding.length) runner.embedding = new Float32Array(embedding);
    });
    const able = this.#runners.filter(({ column }) => {
      const one = median(column.figures.picture1?.samples ?? []);
      if (!this.settings.brief && (this.settings.long || one < MOST_PICTURE_MS)) return true;
      column.figures.picture8 = { samples: [], note: "not run" };
      return false;
    });
    await this.#turns("picture8", able, async ({ engine }) => void (await engine.pictures(BATCH)), BATCH);
  }

  async #labels(count: 2 | 100 | 1000): Promise<void> {
    const row: Row = `labels${count}`;
    const ready: Runner[] = [];
    for (const runner of this.#runners) {
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
        if (different > runner.learnt) {
          runner.label = (performance.now() - start) / (different - runner.learnt);
          runner.learnt = different;
        }
        if (different < count) column.figures[row] = { samples: [], note: `${different} different labels, repeated` };
        ready.push(runner);
      } catch (error) {
        column.figures[row] = { samples: [], note: `failed: ${inWords(error)}` };
      }
    }
    await this.#turns(row, ready, async (runner) => {
      const scores = await runner.engine.classify();
      if (count === 2) runner.scores = [...scores];
    });
  }

  /** Learning may take very long where scoring does not: then few labels are learnt, and repeated. */
  #different({ label }: Runner, count: number): number {
    if (count === 2 || this.settings.long || label * count < MOST_CALL_MS) return count;
    return Math.max(2, Math.min(count, Math.trunc(MOST_CALL_MS / 2 / label)));
  }

  /**
   * A warm-up each, then rounds in which every engine runs once, in turning order. Samples are for one of `parts`. Where the
   * warm-up takes long already, it is the sample.
   */
  async #turns(row: Row, runners: Runner[], once: (runner: Runner) => Promise<void>, parts = 1): Promise<void> {
    const rounds = new Map(
      runners.map((runner) => [runner, runner.slow ? (row === "picture1" ? SLOW_ROUNDS : 1) : this.settings.rounds]),
    );
    const timed = async (runner: Runner, round: number): Promise<void> => {
      const figure: Figure = (runner.column.figures[row] ??= { samples: [] });
      await this.step(`${row}, ${round < 0 ? "warm-up" : `round ${round + 1}`}: ${runner.column.engine}`);
      const start = performance.now();
      try {
        await once(runner);
        const time = performance.now() - start;
        const long = round < 0 && time > SLOW_MS && !this.settings.long;
        if (round >= 0 || long) figure.samples.push(time / parts);
        if (long) rounds.set(runner, 0);
      } catch (error) {
        figure.note = `failed: ${inWords(error)}`;
        rounds.set(runner, 0);
      }
    };
    for (const runner of runners) if (!runner.slow) await timed(runner, -1);
    for (let round = 0; round < this.settings.rounds; round++) {
      for (const runner of round % 2 ? [...runners].reverse() : runners)
        if (round < (rounds.get(runner) ?? 0)) await timed(runner, round);
    }
  }

  #compare(): void {
    const [base] = this.#runners;
    if (!base) return;
    for (const { column, embedding, scores, four } of this.#runners.slice(1)) {
      // A library's two backends have the same weights, and should have the same answers.
      const [library] = column.engine.split("-");
      const other = this.#runners.find((runner) => runner.four && runner.column.engine.startsWith(library as string));
      if (four && other?.four && other.column !== column) {
        // Of random weights all scores are nearly 0: their log-odds are what can be told apart.
        const off = apart(four.map(logOdds), other.four.map(logOdds));
        column.agrees = `log-odds of four labels off ${nameOf(other.column.engine)}'s by at most ${off.toPrecision(2)}`;
      } else if (four) {
        continue;
      } else if (embedding && base.embedding) {
        column.agrees = `cosine to ${nameOf(base.column.engine)}'s embedding ${cosine(embedding, base.embedding).toFixed(6)}`;
      } else if (scores && base.scores) {
        const off = apart(scores, base.scores);
        column.agrees = `scores of two labels off ${nameOf(base.column.engine)}'s by at most ${off.toPrecision(2)}`;
      }
    }
  }
}

/** The frame's own page, once its script has run. */
async function opened(frame: HTMLIFrameElement, place: HTMLElement): Promise<Frame> {
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  frame.src = new URL("bench-frame.html", document.baseURI).href;
  place.append(frame);
  await loaded;
  if (!frame.contentWindow?.frame) throw new Error("bench-frame.html did not start");
  return frame.contentWindow.frame;
}

/** Bytes over the network for all that a frame has fetched, as far as the browser tells. */
function downloaded(frame: HTMLIFrameElement): number {
  const entries = frame.contentWindow?.performance.getEntries() ?? [];
  return entries.reduce((sum, entry) => sum + ((entry as PerformanceResourceTiming).encodedBodySize ?? 0), 0);
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

/** Not `instanceof Error`: it comes from a frame with an `Error` of its own. */
export function inWords(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return (typeof message === "string" ? message : String(error)).split("\n")[0]?.slice(0, 200) ?? "";
}
