import { breath } from "../breath.js";
import { Callback } from "../callback.js";
import type { Calls } from "../calls.js";
import { aborted, OcelliError, wrap } from "../error.js";
import type { Model } from "../model.js";
import { all } from "../pictures/picture-error.js";
import { ready } from "../pictures/ready.js";
import { Turns } from "../turns.js";
import { mannerOf, requireDetail, stopsOf } from "./manner.js";
import type { Asked } from "./messages.js";
import type { Begun } from "./plain.js";
import { StopStrings } from "./stop-strings.js";
import type { DetailOptions, TokenEvent, WriteOptions, Written } from "./types.js";
import { WritingError } from "./writing-error.js";

/** The texts of a model, one after the other: a call waits for those before it. */
export class Writer {
  readonly #turns = new Turns();

  constructor(readonly model: Model) {}

  /**
   * Writes a text, whose parts it `tell`s.
   *
   * @throws {WritingError} Whatever goes wrong, with what was written before.
   */
  async write(asked: () => Asked, options: WriteOptions, tell: (part: string) => void = () => {}): Promise<Written> {
    return (await this.writeSeeing(asked, options, tell))[0];
  }

  /** The same, with the size of each image. */
  async writeSeeing(
    asked: () => Asked,
    options: WriteOptions,
    tell: (part: string) => void,
  ): Promise<[Written, Begun["sizes"]]> {
    const onToken = new Callback("onToken", options.onToken, () => {});
    let text = "";
    const say = (part: string) => {
      if (part === "") return;
      text += part;
      tell(part);
    };
    try {
      return await this.model.call(options, async (core) => {
        const { request, images } = asked();
        const { signal } = options;
        const [manner, stops] = [mannerOf(options), stopsOf(options)];
        // A choice is what it is.
        const ends = new StopStrings(manner.choices ? [] : stops);
        // An image that never arrives holds up nobody else.
        const here = all(await Promise.allSettled(images.map((image) => ready(image, signal))));
        const leave = await this.#turns.enter(signal);
        try {
          const begun = performance.now();
          const check = () => {
            if (signal?.aborted) throw aborted(signal.reason, "call");
          };
          check();
          const { number, sizes, ...prompt } = await core.begin(request, here, manner, signal);
          const told = await this.#steps(core, number, ends, check, say, onToken);
          return [{ text, ...told.result, ...prompt, ...speedOf(begun, told.times) }, sizes];
        } finally {
          leave();
        }
      });
    } catch (error) {
      throw new WritingError(text, named(wrap(error)));
    } finally {
      onToken.ended = true;
    }
  }

  /** Tokens of a prompt. */
  count(asked: () => Asked, options: DetailOptions): Promise<number> {
    return this.model.call(options, async (core) => {
      const { request, images } = asked();
      const { detail = "auto", signal } = options;
      requireDetail(detail);
      return core.countPrompt(request, images, detail, signal);
    });
  }

  /** Takes a text's steps until it ends. */
  async #steps(
    core: Calls,
    number: number,
    stops: StopStrings,
    check: () => void,
    say: (part: string) => void,
    onToken: Callback<TokenEvent>,
  ): Promise<{ result: Pick<Written, "tokens" | "finish" | "choices" | "score">; times: number[] }> {
    const tokens: number[] = [];
    const times: number[] = [];
    try {
      for (;;) {
        check();
        const step = await core.next(number);
        // What has come after the signal is nobody's.
        check();
        const { text, ended } = stops.push(step.text);
        say(text);
        if (step.token !== undefined) {
          tokens.push(step.token);
          times.push(performance.now());
          onToken.call({ id: step.token, text: step.text });
          if (onToken.failed) throw onToken.failed;
        }
        const finish = ended ? "stop" : step.finish;
        if (finish !== undefined) {
          if (!ended) say(stops.rest());
          return { result: { tokens: Uint32Array.from(tokens), finish, ...step.whole }, times };
        }
        // Otherwise neither frames nor the signal would have their turn.
        if (core.info.backend === "cpu") await breath();
      }
    } finally {
      // Of a text that was lost there is nothing to let go of.
      await core.end(number).catch(() => {});
    }
  }
}

function speedOf(begun: number, times: number[]): Pick<Written, "firstTokenMs" | "tokensPerSecond"> {
  const [first = performance.now(), last = first] = [times[0], times.at(-1)];
  const seconds = (last - first) / 1000;
  return { firstTokenMs: first - begun, tokensPerSecond: seconds > 0 ? (times.length - 1) / seconds : null };
}

/** Says which image it is, of several. */
function named(error: OcelliError): OcelliError {
  const { code, message, cause } = error;
  // A worker's errors are told apart by what they carry, not by their class.
  const index = [error, cause]
    .map((one) => (one as { index?: unknown } | undefined)?.index)
    .find((i) => i !== undefined);
  return index === undefined ? error : new OcelliError(code, `images[${String(index)}]: ${message}`, { cause });
}
