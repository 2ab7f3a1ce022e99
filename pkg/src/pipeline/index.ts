/**
 * transformers.js' `pipeline` over Ocelli's models: change the import and, at most, the model's name.
 *
 * ```ts
 * import { pipeline } from "ocelli/pipeline";
 *
 * const classifier = await pipeline("zero-shot-image-classification", "openai/clip-vit-base-patch32");
 * const output = await classifier(url, ["tiger", "horse", "dog"]);
 * // [{ label: "tiger", score: 0.9994 }, …]
 * ```
 *
 * @module ocelli/pipeline
 */
import { OcelliError } from "../error.js";
import type { ModelSource } from "../source/types.js";
import type { CallOptions, ImageInput, LoadOptions } from "../types.js";
import { joined } from "../vectors.js";
import type { Message, Prompt } from "../vlm/types.js";
import { Features } from "./features.js";
import { loadOptions, sourceOf, writeOptions } from "./options.js";
import type {
  ClassifyPipelineOptions,
  DetectPipelineOptions,
  FeaturePipelineOptions,
  ForEach,
  GenerateOptions,
  PipelineImage,
  PipelineOptions,
  Pipelines,
  PipelineTask,
  SegmentPipelineOptions,
} from "./types.js";

export { OcelliError, type ErrorCode } from "../error.js";
export { Features } from "./features.js";
export type * from "./types.js";

type Images = PipelineImage | readonly PipelineImage[];
type Rest = [string, GenerateOptions?] | [GenerateOptions?];
type Loaded = [model: { dispose(): void }, call: (...given: never[]) => unknown];

/** The model of each task, and what its pipeline does. A task fetches the code that it needs, and no other. */
const tasks: Record<PipelineTask, (source: ModelSource, options: LoadOptions) => Promise<Loaded>> = {
  "zero-shot-image-classification": async (source, options) => {
    const { Ocelli } = await import("../index.js");
    const model = await Ocelli.load(source, options);
    const call = (images: Images, labels: readonly string[], options: ClassifyPipelineOptions = {}) => {
      const { hypothesis_template: template = "This is a photo of {}", signal } = options;
      return each(images, async (image) => {
        const ranked = await model.classify(image, [...labels], { template, ...signalled(signal) });
        return ranked.map(({ label, score }) => ({ label, score }));
      });
    };
    return [model, call];
  },

  "zero-shot-object-detection": async (source, options) => {
    const { Detector } = await import("../find/detect.js");
    const model = await Detector.load(source, options);
    const call = (images: Images, labels: readonly string[], options: DetectPipelineOptions = {}) => {
      const { threshold = 0.1, top_k, percentage: normalized = false, signal } = options;
      const how = { threshold, normalized, ...(top_k != null && { topK: top_k }), ...signalled(signal) };
      return each(images, async (image) => {
        const found = await model.detect(image, labels, how);
        return found.map(({ label, score, box: { x, y, width, height } }) => ({
          label,
          score,
          box: { xmin: x, ymin: y, xmax: x + width, ymax: y + height },
        }));
      });
    };
    return [model, call];
  },

  "image-feature-extraction": async (source, options) => {
    const { Ocelli } = await import("../index.js");
    const model = await Ocelli.load(source, { ...options, towers: "vision" });
    const call = async (images: Images, { pool, signal }: FeaturePipelineOptions = {}) => {
      if (pool === false)
        throw new OcelliError(
          "bad-input",
          "pool: expected true or nothing, found false: hidden states are not handed out.",
        );
      const vectors = await model.embedImages(listed(images), signalled(signal));
      const { embeddingDim } = model.info;
      return new Features([vectors.length, embeddingDim], joined(vectors, embeddingDim));
    };
    return [model, call];
  },

  "image-segmentation": async (source, options) => {
    const { Segmenter } = await import("../find/segment.js");
    const model = await Segmenter.load(source, options);
    const call = (images: Images, labels: readonly string[], options: SegmentPipelineOptions = {}) =>
      each(images, async (image) => {
        const masks = await model.segment(image, labels, options);
        return masks.map(({ label, width, height, bits }) => ({
          label,
          score: null,
          mask: { data: Uint8ClampedArray.from(bits, (bit) => 255 * bit), width, height, channels: 1 as const },
        }));
      });
    return [model, call];
  },

  "image-to-text": async (source, options) => {
    const { Vlm } = await import("../vlm/vlm.js");
    const model = await Vlm.load(source, options);
    const call = (images: Images, options: GenerateOptions = {}) => {
      const how = writeOptions(options);
      return each(images, async (image) => [{ generated_text: (await model.caption(image, how)).text }]);
    };
    return [model, call];
  },

  "image-text-to-text": async (source, options) => {
    const { Vlm } = await import("../vlm/vlm.js");
    const model = await Vlm.load(source, options);
    const call = async (first: Images | readonly Message[], ...rest: Rest) => {
      const [prompt, options] = promptOf(first, rest);
      return [{ generated_text: (await model.generate(prompt, writeOptions(options))).text }];
    };
    return [model, call];
  },
};

/**
 * Loads a model for a task.
 *
 * ```ts
 * const detector = await pipeline("zero-shot-object-detection", "google/owlv2-base-patch16-ensemble", { dtype: "q8", worker: true });
 * for (const { label, score, box } of await detector(picture, ["a cat", "a remote"], { threshold: 0.2 })) draw(box, label, score);
 * ```
 *
 * @param task One of the six tasks of {@link Pipelines}.
 * @param model A repository of the hub with weights as safetensors, `owner/name` as in transformers.js; or any {@link ModelSource}, of
 * which addresses begin with `/`, `./`, `../` or their scheme.
 * @throws {OcelliError} With code `bad-input` for another task, or an option of transformers.js that does not exist here; else as
 * `Ocelli.load`.
 */
export async function pipeline<Task extends PipelineTask>(
  task: Task,
  model: ModelSource,
  options: PipelineOptions = {},
): Promise<Pipelines[Task]> {
  if (!Object.hasOwn(tasks, task)) {
    const names = Object.keys(tasks).map((name) => JSON.stringify(name));
    throw new OcelliError("bad-input", `task: expected ${names.join(", ")}, found ${JSON.stringify(task)}.`);
  }
  const [loaded, call] = await tasks[task](sourceOf(model), loadOptions(task, model, options));
  const more = { task, model: loaded, dispose: async () => loaded.dispose() };
  return Object.assign(call, more) as unknown as Pipelines[Task];
}

/** What `one` makes of each image, in order. */
async function each<I extends Images, One>(
  images: I,
  one: (image: ImageInput) => Promise<One>,
): Promise<ForEach<I, One>> {
  const all: One[] = [];
  for (const image of listed(images)) all.push(await one(image));
  return (Array.isArray(images) ? all : all[0]) as ForEach<I, One>;
}

/** A list of images; addresses are relative to the page. */
function listed(images: Images): ImageInput[] {
  const given = (Array.isArray(images) ? images : [images]) as readonly PipelineImage[];
  return given.map((image) => (typeof image === "string" ? new URL(image, globalThis.location?.href) : image));
}

const signalled = (signal: AbortSignal | undefined): CallOptions => (signal ? { signal } : {});

/** An image and a text, several, or messages, with the options behind them. */
function promptOf(first: Images | readonly Message[], rest: Rest): [Prompt, GenerateOptions] {
  const [second, third] = rest;
  if (typeof second === "string") return [{ images: listed(first as Images), prompt: second }, third ?? {}];
  const said = (message: unknown) => typeof (message as Message | null)?.role === "string";
  if (Array.isArray(first) && first.length > 0 && first.every(said))
    return [{ messages: first as readonly Message[] }, second ?? {}];
  throw new OcelliError("bad-input", "image-text-to-text: expected an image and a text, or messages, found neither.");
}
