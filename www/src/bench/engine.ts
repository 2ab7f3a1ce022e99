// What the page and the frames agree on. Each engine lives in a frame of its own: its own modules, wasm memory and GPU device.

export type Precision = "f32" | "q8" | "q4";
export const precisions: readonly string[] = ["f32", "q8", "q4"] satisfies Precision[];

/** What is compared: classification by CLIP or SigLIP, detection by OWL-ViT or OWLv2, or writing by SmolVLM or Florence-2. */
export type Task = "classify" | "detect" | "write";

export interface Wish {
  task: Task;
  /**
   * "ocelli", "ocelli:TIER" (one kernel tier), "ocelli-cpu", "ocelli-cpu-1" (one thread), "ort-webgpu", "ort-wasm", "ort-wasm-1" (one thread),
   * "transformers-webgpu", "transformers-wasm", "wllama" or "wllama-1" (one thread).
   */
  engine: string;
  /** Absolute address of the model folder, with a slash at its end. */
  model: string;
  precision: Precision;
  /** Whether Ocelli keeps what it fetches in the browser's cache, as it does by default. The others keep nothing. */
  keep: boolean;
}

export interface Engine {
  /** What the report says of it: versions, threads, tier, weights. */
  readonly facts: string;
  /** Kernel tiers that it can also be loaded with, beside the one in use. */
  readonly tiers: readonly string[];
  /** The first picture's scores for two labels that were never asked for, as a page's first question would be put; of a writer a token. */
  answer(): Promise<number[]>;
}

/** For the task "classify". */
export interface Classifier extends Engine {
  /** The pictures' embeddings, one after the other, in one call where the engine has such; nothing where it gives none. */
  pictures(count: number): Promise<Float32Array>;
  /** Learns `count` labels, `different` of which differ. */
  learn(count: number, different: number): Promise<void>;
  /** The first picture's scores for the labels that were learnt last, in their order. */
  classify(): Promise<number[]>;
  /** The first picture's scores for {@link fourLabels}. Both towers run in the call. */
  zeroShot?(): Promise<number[]>;
  /** The same, with the labels' embeddings kept from the call before. */
  zeroShotKept?(): Promise<number[]>;
  /** The first picture as the picture tower sees it, RGBA. */
  square?(): Promise<Uint8ClampedArray>;
  /** Replaces the first picture by this square, RGBA. */
  see?(square: Uint8ClampedArray): void;
}

/** For the task "detect". */
export interface Finder extends Engine {
  /** Whether it keeps labels that were asked for. */
  readonly keeps: boolean;
  /** For each label the best of all boxes in the picture, whatever its score. */
  find(labels: string[]): Promise<Found[]>;
}

export interface Found {
  score: number;
  /** Left, top, right and bottom, in shares of the picture's width and height; not clipped. */
  box: [number, number, number, number];
}

/** For the task "write". */
export interface Writer extends Engine {
  /** Whether it reads pictures, too. */
  readonly sees: boolean;
  /** Writes so many tokens, greedily, and does not stop where the model would. */
  write(after: Prompt, tokens: number): Promise<Written>;
}

/** What a text goes on from. */
export interface Prompt {
  /** With special tokens in it. */
  text: string;
  /** Number of the picture that `<image>` in the text stands for. */
  picture?: number;
}

export interface Written {
  tokens: number[];
  /** Milliseconds from the call to the first token, and those of each after it. */
  first: number;
  each: number;
}

/** What tools/export_writer.py and export_florence.py write beside a model. */
export interface Script {
  /** About a picture, and what the reference writes about number 0. */
  question: string;
  tokens: number[];
  /**
   * Texts of the same number of tokens that begin differently, and what the reference writes after the first; none for a model that needs a
   * picture.
   */
  prompts: { text: string; tokens?: number[] }[];
}

/** A few words that were not asked for before, or the picture: what a page's first answer is measured with. */
export const fewWords = ({ prompts, question }: Script, before: number): Prompt =>
  prompts.length === 0
    ? { text: question, picture: 0 }
    : { text: (prompts.at(-1 - (before % prompts.length))?.text ?? "").slice(0, 40) };

export async function scriptOf(model: string): Promise<Script> {
  const response = await fetch(`${model}written.json`);
  if (!response.ok)
    throw new Error(
      `${model}written.json: ${response.status}: make it by tools/export_writer.py or export_florence.py`,
    );
  return response.json() as Promise<Script>;
}

/** Takes the time of each token. */
export class Clock {
  readonly #start = performance.now();
  readonly #times: number[] = [];

  /** A token has come. */
  tick(): void {
    this.#times.push(performance.now());
  }

  written(tokens: number[]): Written {
    const [first = NaN, last = NaN] = [this.#times[0], this.#times.at(-1)];
    return { tokens, first: first - this.#start, each: (last - first) / (this.#times.length - 1) };
  }
}

/** What a frame offers to the page. */
export interface Frame {
  /** Loads an engine for the wish's task; `pictures` is the number of files to prepare. */
  load(wish: Wish, pictures: number): Promise<Engine>;
}

/** A first answer in a fresh page, in milliseconds since that page began. */
export interface Cold {
  done: number;
  /** Milliseconds of the next answer. */
  warm: number;
  facts: string;
}

declare global {
  interface Window {
    frame?: Frame;
    cold?: Cold | { error: string };
  }
}

/** Filled in by vite.bench.config.js. */
declare const __VERSIONS__: {
  ocelli: string;
  ort: string;
  transformers: string;
  transformersOrt: string;
  wllama: string;
};
export const versions = __VERSIONS__;

/** The template of all engines; transformers.js applies it by itself. */
export const template = "a picture of {}";

export const fourLabels = ["a cat", "a red car", "a mountain lake", "a plate of food"];

const kinds =
  "red,blue,green,small,large,old,new,wooden,paper,round,flat,broken,shiny,dark,bright,cold,warm,wet,dry,soft,hard,loud,quiet,fast,slow".split(
    ",",
  );
const things = (
  "cat,dog,horse,bird,fish,car,train,boat,bike,plane,house,tower,bridge,road,tree,flower,leaf,stone,river,hill,apple,bread,cake,cup,plate," +
  "chair,table,lamp,clock,book,pen,guitar,drum,ball,shoe,hat,coat,rocket,robot,moon"
).split(",");

/** `count` labels, `different` of which differ. The text of a label does not change how long it takes once it is learnt. */
export function labelList(count: number, different = count): string[] {
  const name = (i: number): string =>
    `a ${kinds[Math.trunc(i / things.length) % kinds.length]} ${things[i % things.length]}`;
  return Array.from({ length: count }, (_, i) => name(i % different));
}

/** Threads for wasm: all cores up to four, if the page may share memory at all. */
export const threads = (): number => (crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1);
export const threadsInWords = (count = threads()): string => (count === 1 ? "1 thread" : `${count} threads`);
