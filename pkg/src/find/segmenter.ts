/// <reference lib="esnext.disposable" preserve="true" />
import { OcelliError } from "../error.js";
import type { LabelText } from "../labels/cache.js";
import { LabelTexts, templatesOf } from "../labels/texts.js";
import { loadModel } from "../load-model.js";
import type { Model } from "../model.js";
import type { ModelSource } from "../source/types.js";
import type { CallOptions, ImageInput, ModelEvents, ModelInfo, Verification } from "../types.js";
import { joined } from "../vectors.js";
import { Mask } from "./mask.js";
import { requireScene, type SceneData } from "./plain.js";
import { SegmenterScene, type Masker } from "./segmenter-scene.js";
import type { SegmenterOptions, SegmentOptions } from "./types.js";
import { requireShare } from "./wanted.js";

/**
 * A model that cuts out what words name: CLIPSeg.
 *
 * ```ts
 * const segmenter = await Segmenter.load("hf:CIDAS/clipseg-rd64-refined", { worker: true });
 * const [mask] = await segmenter.segment(picture, ["a glass"]);
 * context.drawImage(await createImageBitmap(mask.toImageData({ color: "#ff404080" })), 0, 0);
 * ```
 */
export class Segmenter {
  readonly #model: Model;
  readonly #texts: LabelTexts;
  readonly #masker: Masker;

  private constructor(model: Model) {
    this.#model = model;
    this.#texts = new LabelTexts(model, { mean: "plain", cut: true });
    this.#masker = {
      masks: (data, prompts, options) => model.call(options, () => this.#masks(async () => data, prompts, options)),
    };
  }

  /**
   * Loads a segmenter: with the options of `Ocelli.load`, and from the same sources.
   *
   * @throws {OcelliError} With code `wrong-model` if it is no segmenter, before its weights are fetched; else see {@link ErrorCode}.
   */
  static async load(source: ModelSource, options: SegmenterOptions = {}): Promise<Segmenter> {
    return new Segmenter(await loadModel(source, options, "segment"));
  }

  /** What was loaded, and on what. */
  get info(): ModelInfo {
    return this.#model.info;
  }

  /** Listens to what happens without a call: see `Ocelli.on`. Returns how to stop listening. */
  on<E extends keyof ModelEvents>(event: E, listener: (info: ModelInfo) => void): () => void {
    return this.#model.on(event, listener);
  }

  /** Runs the image tower once, for any number of prompts. */
  look(picture: ImageInput, options: CallOptions = {}): Promise<SegmenterScene> {
    return this.#model.call(
      options,
      async (core) => new SegmenterScene(this.#masker, await core.look(picture, options.signal)),
    );
  }

  /**
   * The scene that {@link SegmenterScene.data} is of, from another thread, an earlier visit, or before a loss.
   *
   * @throws {OcelliError} With code `bad-input` for anything else.
   */
  scene(data: SceneData): SegmenterScene {
    requireScene(data);
    return new SegmenterScene(this.#masker, data);
  }

  /**
   * A mask for each prompt, in order. A prompt is a text; or, with {@link SegmenterOptions.picturePrompts}, an image of the thing,
   * best cut out before a dark background.
   *
   * ```ts
   * const [glass, table] = await segmenter.segment(picture, ["a glass", "a table"], { threshold: 0.5 });
   * ```
   */
  segment(
    picture: ImageInput,
    prompts: readonly (string | ImageInput)[],
    options: SegmentOptions = {},
  ): Promise<Mask[]> {
    return this.#model.call(options, (core) => this.#masks(() => core.look(picture, options.signal), prompts, options));
  }

  /** Whether this device computes correctly: see `Ocelli.verify`. */
  verify(options: CallOptions = {}): Promise<Verification> {
    return this.#model.call(options, (core) => core.verify());
  }

  /** Frees the device's memory, after calls that are under way; a worker ends with it. */
  dispose(): void {
    this.#model.dispose();
  }

  /** For `using segmenter = await Segmenter.load(…)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  async #masks(
    look: () => Promise<SceneData>,
    prompts: readonly (string | ImageInput)[],
    options: SegmentOptions,
  ): Promise<Mask[]> {
    const { threshold = 0.4, size = "picture", signal, cache = true } = options;
    requireShare("threshold", threshold);
    if (size !== "picture" && size !== "model")
      throw new OcelliError("bad-input", `size: expected "picture" or "model", found ${JSON.stringify(size)}.`);
    requirePrompts(prompts);
    const { core, info } = this.#model;
    const texts = prompts.filter((prompt) => typeof prompt === "string");
    const templates = templatesOf(options);
    const words = texts.length > 0 ? await this.#texts.embed(texts, templates, cache, signal) : [];
    const given: LabelText[] = [];
    for (const prompt of prompts)
      given.push(
        typeof prompt === "string"
          ? (words.shift() as LabelText)
          : { embedding: await core.picturePrompt(prompt, signal), cut: false },
      );
    const vectors = joined(
      given.map(({ embedding }) => embedding),
      info.embeddingDim,
    );
    const masks = await core.segment(await look(), vectors, threshold, size);
    return masks.map((data, at) => new Mask(data, nameOf(prompts[at]), at, given[at]?.cut === true));
  }
}

const nameOf = (prompt: unknown) => (typeof prompt === "string" ? prompt : "");

function requirePrompts(prompts: unknown): void {
  const sound = (prompt: unknown) => prompt !== "" && ["string", "object"].includes(typeof prompt) && prompt !== null;
  if (!Array.isArray(prompts) || prompts.length === 0 || !prompts.every(sound)) {
    const wrong = Array.isArray(prompts) ? JSON.stringify(prompts.find((p) => !sound(p)) ?? []) : typeof prompts;
    throw new OcelliError(
      "bad-input",
      `prompts: expected an array of at least one text or image, none of them empty, found ${wrong}.`,
    );
  }
}
