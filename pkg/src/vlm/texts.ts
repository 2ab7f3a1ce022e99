import { OcelliError } from "../error.js";
import { decoded, open } from "../pictures/image.js";
import { all } from "../pictures/picture-error.js";
import { ready } from "../pictures/ready.js";
import type { Running } from "../running.js";
import type { Tokenizer } from "../tokenizer.js";
import type { ImageInput } from "../types.js";
import type { Begun, Detail, Manner, PromptRequest, Step } from "./plain.js";
import { cutsOf, isThere, putSquare, release, type Cut } from "./tiles.js";
import { chosen, written, type Characters, type Way } from "./ways.js";

/** Ids from here on stand for images' tokens. */
const PICTURE = 2 ** 31;
/** More tokens than any model has room for. */
const ENDLESS = 2 ** 32 - 1;

/** What texts are written on. */
export interface Host {
  /** Makes a call on the engine that runs now; on another one once more if it goes away. */
  run<T>(work: (running: Running) => Promise<T>): Promise<T>;
  /** Makes a call on this engine alone. */
  runOnly<T>(running: Running, work: () => Promise<T>): Promise<T>;
  tokenized<T>(running: Running, work: (tokenizer: Tokenizer) => T): Promise<T>;
}

/** A text on its way, and the engine that it is on. */
interface Text {
  number: number;
  running: Running;
  way: Way;
  /** Sets out anew. */
  begin: () => Way;
  characters: Characters;
  /** Images of which the engine lacks tokens. */
  cuts: Cut[];
}

/**
 * The texts of a model, one at a time. Each goes on step by step: a tile of an image, a part of the prompt, a token. So whoever asks can
 * stop after each of them. A text stays on its engine and is lost with it.
 */
export class Texts {
  #text: Text | undefined;
  #next = 0;

  constructor(private readonly host: Host) {}

  /** Begins a text, and ends the one before. Nothing runs yet, but all that can be wrong with the prompt has been said. */
  begin(request: PromptRequest, images: ImageInput[], manner: Manner, signal: AbortSignal | undefined): Promise<Begun> {
    return this.host.run(async (running) => {
      this.#end();
      const pictures = await Promise.allSettled(
        images.map(async (image) => (await open(await ready(image, signal), "cpu")).pixels as ImageData),
      );
      const low = isLow(manner.detail, running);
      const seen = all(pictures);
      const sizes = seen.map(({ width, height }): [number, number] => [width, height]);
      const [cuts, layouts] = cutsOf(running, seen, low);
      const most = running.engine.context() - 1;
      const { choices, pattern } = manner;
      // Places are told in shares of the image.
      const asked = "task" in request ? { ...request, size: sizes[0] } : request;
      const [ids, stops, answers, characters] = await this.host.tokenized(running, (tokenizer) => [
        tokenizer.prompt(asked, layouts, most),
        tokenizer.stops(),
        choices && tokenizer.answers(asked, layouts, most, choices),
        pattern === undefined
          ? tokenizer.stream(!manner.specialTokens)
          : tokenizer.guide(asked, layouts, most, pattern),
      ]);
      const options = { ...manner, stops, constrained: pattern !== undefined };
      const begin = () =>
        choices && answers
          ? chosen(running, ids, options, choices, answers)
          : written(running, ids, options, characters, (work) => this.host.tokenized(running, work));
      const number = this.#next++;
      const missing = cuts.filter((cut) => !isThere(running, cut));
      this.#text = { number, running, way: begin(), begin, characters, cuts: missing };
      return { number, promptTokens: ids.length, imageTokens: ids.filter((id) => id >= PICTURE).length, sizes };
    });
  }

  /** @throws {Loss} If the engine went away that the text is on. */
  async next(number: number): Promise<Step> {
    const text = this.#text;
    if (text?.number !== number)
      throw new OcelliError("bad-input", "text: expected one under way, found one that ended.");
    return this.host.runOnly(text.running, () => this.#step(text));
  }

  end(number: number): void {
    if (this.#text?.number === number) this.#end();
  }

  /** Tokens of a prompt, however many. */
  count(
    request: PromptRequest,
    images: ImageInput[],
    detail: Detail,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    return this.host.run(async (running) => {
      const low = isLow(detail, running);
      const layouts = await Promise.allSettled(
        images.map(async (image) => {
          const { pixels, release } = await decoded(await ready(image, signal));
          const { width, height } = pixels;
          release();
          return [...running.engine.layout(width, height, low, images.length > 1)];
        }),
      );
      const flat = Uint32Array.from(all(layouts).flat());
      return this.host.tokenized(running, (tokenizer) => tokenizer.prompt(request, flat, ENDLESS).length);
    });
  }

  async #step(text: Text): Promise<Step> {
    const { running } = text;
    const cut = text.cuts[0];
    if (cut) {
      await putSquare(running, cut);
      if (!isThere(running, cut)) return { text: "" };
      release(running, cut);
      text.cuts.shift();
      // What was begun may have been ended by new tiles.
      if (text.cuts.length === 0) {
        text.way.drop();
        text.way = text.begin();
      }
      return { text: "" };
    }
    return text.way.step();
  }

  #end(): void {
    const text = this.#text;
    this.#text = undefined;
    if (!text) return;
    text.cuts.forEach((cut) => release(text.running, cut));
    text.way.drop();
    text.characters.free();
  }
}

function isLow(detail: Detail, running: Running): boolean {
  return detail === "low" || (detail === "auto" && running.info.backend === "cpu");
}
