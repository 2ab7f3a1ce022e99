import { wrap as connect, type Remote } from "comlink";
import { OcelliError } from "./error.js";
import type { Answer, HelperEntry, Message } from "./helper.js";
import { abortable } from "./shared.js";
import type { CpuPart, WasmOptions } from "./types.js";
import { deathOf, end } from "./worker-death.js";
import type { Starting } from "./worker-refusal.js";

/** Threads that `"auto"` takes at most: with more, the slices are so small that handing them over costs more than it saves. */
const MOST_THREADS = 4;

/** How long helpers may take to start. */
const START_MS = 10_000;

/** Bytes of weights that were posted and not yet taken: more wait with the leader's download. */
const MOST_BEHIND = 32 << 20;

/** How many threads a model on the CPU runs in. */
export function threadsOf(threads: "auto" | number): number {
  if (threads !== "auto") return threads;
  return Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST_THREADS);
}

/** A part of a step: whose it is, what is computed, and from what: the first input has so many numbers. */
type Part = [helper: number, work: string, first: number, inputs: Float32Array];

interface Helper {
  worker: Worker;
  entry: Remote<HelperEntry>;
  death: Promise<string>;
}

/** Workers that share the work of an engine on the CPU. Each has an engine of its own, with slices of the weights. */
export class Team {
  /** Is told what parts came to, in the order in which they were asked for. */
  onAnswers: (answers: Float32Array[]) => void = () => {};
  /** Why a helper ended, once one has. */
  readonly lost: Promise<string>;
  #asked: { helpers: number[]; answers: Float32Array[]; missing: number } | undefined;
  /** Bytes that were posted and not yet taken. */
  #behind = 0;
  #caughtUp = () => {};
  #ended = false;
  /** What inputs went in and outputs came in, by helper: it goes to and fro, because new memory is slow. */
  readonly #buffers: (ArrayBufferLike | undefined)[] = [];

  private constructor(private readonly workers: Helper[]) {
    this.lost = Promise.race(workers.map(({ death }) => death));
    workers.forEach(({ worker }, helper) =>
      worker.addEventListener("message", ({ data }: MessageEvent<Answer | object>) => {
        // Others are comlink's.
        if (Array.isArray(data)) this.#take(helper, data as Answer);
      }),
    );
  }

  /** @throws {OcelliError} With code `no-worker` if the browser does not start them. */
  static async start(
    helpers: number,
    startWorker: () => Starting,
    part: CpuPart,
    options: WasmOptions,
    signal: AbortSignal,
  ): Promise<Team> {
    const begun: Helper[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const ready = Array.from({ length: helpers }, async () => {
        const { worker, refusal } = startWorker();
        let heard = false;
        worker.addEventListener("message", () => (heard = true), { once: true });
        const entry = connect<HelperEntry>(worker);
        const death = deathOf(worker, entry);
        begun.push({ worker, entry, death });
        const broken = death.then(async (why) => {
          throw heard ? new OcelliError("worker-lost", ended(why)) : await refusal(why);
        });
        await Promise.race([entry.help(part, options), broken]);
      });
      const late = new Promise<never>((_, reject) => {
        const why = `Workers have not started for ${START_MS / 1000} seconds.`;
        timer = setTimeout(() => reject(new OcelliError("no-worker", why)), START_MS);
      });
      const all = Promise.all(ready);
      for (const one of [...ready, all, late]) one.catch(() => {});
      await abortable(signal, Promise.race([all, late]), "load");
      return new Team(begun);
    } catch (error) {
      begun.forEach(end);
      throw error;
    } finally {
      // What it holds would stay as long as it runs.
      clearTimeout(timer);
    }
  }

  /** How many there are. */
  get helpers(): number {
    return this.workers.length;
  }

  /** Makes room for the next weight of a helper. */
  makeRoom(helper: number, format: string, rows: number, cols: number): void {
    this.#post(helper, ["room", format, rows, cols]);
  }

  /** Fills a weight of a helper from a byte on. */
  write(helper: number, index: number, scales: boolean, offset: number, bytes: Uint8Array): void {
    this.#behind += bytes.byteLength;
    this.#post(helper, ["write", index, scales, offset, bytes], [bytes.buffer]);
  }

  /** Room for the inputs of a helper's next part. */
  numbers(helper: number, count: number): Float32Array {
    const kept = this.#buffers[helper];
    this.#buffers[helper] = undefined;
    const enough = kept !== undefined && kept.byteLength >= 4 * count;
    return enough ? new Float32Array(kept, 0, count) : new Float32Array(count);
  }

  /** Asks for parts of one step; {@link Team.onAnswers} is told what they came to. */
  ask(parts: Part[]): void {
    this.#asked = { helpers: parts.map(([helper]) => helper), answers: [], missing: parts.length };
    for (const [helper, work, first, inputs] of parts)
      this.#post(helper, ["run", work, first, inputs], [inputs.buffer]);
  }

  /**
   * Waits until most of what was posted is taken; or all of it.
   *
   * @throws {OcelliError} With code `worker-lost`.
   */
  async room(most = MOST_BEHIND): Promise<void> {
    while (this.#behind > most) {
      await Promise.race([new Promise<void>((resolve) => (this.#caughtUp = resolve)), this.#broken()]);
    }
  }

  /** Ends all of them. */
  end(): void {
    if (!this.#ended) this.workers.forEach(end);
    this.#ended = true;
  }

  async #broken(): Promise<never> {
    throw new OcelliError("worker-lost", ended(await this.lost));
  }

  #post(helper: number, message: Message, transfer: Transferable[] = []): void {
    this.workers[helper]?.worker.postMessage(message, transfer);
  }

  #take(helper: number, answer: Answer): void {
    if (answer[0] === "wrote") {
      this.#behind -= answer[1];
      this.#caughtUp();
      return;
    }
    const asked = this.#asked;
    if (!asked) return;
    asked.answers[asked.helpers.indexOf(helper)] = answer[1];
    this.#buffers[helper] = answer[1].buffer;
    asked.missing -= 1;
    if (asked.missing > 0) return;
    this.#asked = undefined;
    this.onAnswers(asked.answers);
  }
}

export const ended = (why: string) =>
  `A worker that shared the work ended (${why || "no reason given"}): the model has to be loaded again.`;
