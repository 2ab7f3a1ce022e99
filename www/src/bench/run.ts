// The order of things: every engine is loaded in a frame of its own, then they take turns.
import type { Engine, Frame, Wish } from "./engine.ts";
import { type Column, type Figure, type Result, type Row } from "./figures.ts";

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
  /** Tokens of a text. */
  tokens: number;
}

/** What a call has measured itself. */
export type Samples = Partial<Record<Row, number>>;

/** An answer that takes longer is slow: no warm-up for it, and few rounds. */
const SLOW_MS = 10_000;
const SLOW_ROUNDS = 2;
const FIRST: Row[] = ["picture1", "detect20", "pictureFirst"];
export const BATCH = 8;

/** An engine in its frame, and what the first answer was. */
export interface Runner<E extends Engine> {
  column: Column;
  engine: E;
  frame: HTMLIFrameElement;
  slow: boolean;
  scores: number[];
}

export abstract class Bench<E extends Engine> {
  protected readonly runners: Runner<E>[] = [];

  constructor(
    protected readonly settings: Settings,
    private readonly place: HTMLElement,
    private readonly result: Result,
    /** Called after every step: the result has grown, and this is done next. */
    protected readonly step: (next: string) => Promise<void>,
  ) {}

  /** Runs what this task measures, with all that were loaded. */
  protected abstract measure(): Promise<void>;

  /** Says in each column how close its answers are to others'. */
  protected abstract compare(): void;

  async run(): Promise<void> {
    try {
      for (const engine of this.settings.engines) await this.#load(engine);
      const tiers = this.settings.tiers
        ? (this.runners.find(({ column }) => column.engine === "ocelli")?.engine.tiers ?? [])
        : [];
      for (const tier of tiers) await this.#load(`ocelli:${tier}`);
      await this.measure();
      this.compare();
    } finally {
      for (const { frame } of this.runners) frame.remove();
      await this.step("");
    }
  }

  async #load(id: string): Promise<void> {
    const column: Column = { engine: id, facts: "", figures: {} };
    this.result.columns.push(column);
    await this.step(`loading ${id}`);
    const { task, model, precision } = this.settings;
    const frame = document.createElement("iframe");
    frame.title = id;
    const start = performance.now();
    try {
      const inside = await opened(frame, this.place);
      const engine = (await inside.load({ task, engine: id, model, precision, keep: false }, BATCH)) as E;
      const asked = performance.now();
      const scores = await engine.answer();
      const done = performance.now();
      column.facts = engine.facts;
      column.figures.cold = { samples: [done - start] };
      column.figures.bytes = { samples: [downloaded(frame)] };
      this.runners.push({ column, engine, frame, slow: done - asked > SLOW_MS && !this.settings.long, scores });
    } catch (error) {
      column.error = inWords(error);
      frame.remove();
    }
  }

  /**
   * A warm-up each (round -1), then rounds in which every engine runs once, in turning order. Samples are for one of `parts`, and of the
   * whole call, unless it returns its own. Where the warm-up takes long already, it is the sample.
   */
  protected async turns(
    row: Row,
    runners: Runner<E>[],
    once: (runner: Runner<E>, round: number) => Promise<Samples | void>,
    parts = 1,
  ): Promise<void> {
    const rounds = new Map(
      runners.map((runner) => [runner, runner.slow ? (FIRST.includes(row) ? SLOW_ROUNDS : 1) : this.settings.rounds]),
    );
    const timed = async (runner: Runner<E>, round: number): Promise<void> => {
      const figure: Figure = (runner.column.figures[row] ??= { samples: [] });
      await this.step(`${row}, ${round < 0 ? "warm-up" : `round ${round + 1}`}: ${runner.column.engine}`);
      const start = performance.now();
      try {
        const own = await once(runner, round);
        const time = performance.now() - start;
        const long = round < 0 && time > SLOW_MS && !this.settings.long;
        const samples = Object.entries(own ?? { [row]: time / parts }) as [Row, number][];
        if (round >= 0 || long)
          for (const [row, sample] of samples) (runner.column.figures[row] ??= { samples: [] }).samples.push(sample);
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

/** Not `instanceof Error`: it comes from a frame with an `Error` of its own. */
export function inWords(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return (typeof message === "string" ? message : String(error)).split("\n")[0]?.slice(0, 200) ?? "";
}
