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
import type { CallOptions, ImageInput } from "../types.js";
import type { Message, Prompt } from "../vlm/types.js";
import { Features } from "./features.js";
import { loadOptions, sourceOf, writeOptions } from "./options.js";
import type {
  ForEach,
  GenerateOptions,
  Pipeline,
  PipelineImage,
  PipelineOptions,
  Pipelines,
  PipelineTask,
} from "./types.js";

export { OcelliError, type ErrorCode } from "../error.js";
export { Features } from "./features.js";
export type {
  ClassificationOutput,
  DetectionOutput,
  ForEach,
  GenerateOptions,
  Pipeline,
  PipelineImage,
  PipelineOptions,
  Pipelines,
  PipelineTask,
  ProgressInfo,
  SegmentationOutput,
  TextOutput,
} from "./types.js";

type Images = PipelineImage | readonly PipelineImage[];
type Load<Task extends PipelineTask> = (source: ModelSource, options: PipelineOptions) => Promise<Pipelines[Task]>;

/** A task fetches the code that it needs, and no other. */
const tasks: { [Task in PipelineTask]: Load<Task> } = {
  "zero-shot-image-classification": async (source, options) => {
    const task = "zero-shot-image-classification";
    const { Ocelli } = await import("../index.js");
    const model = await Ocelli.load(source, loadOptions(task, source, options));
    return made(task, model, (images: Images, labels: readonly string[], options = {}) => {
      const { hypothesis_template: template = "This is a photo of {}", signal } = options as CallOptions & {
        hypothesis_template?: string;
      };
      return each(images, async (image) => {
        const ranked = await model.classify(image, [...labels], { template, ...signalled(signal) });
        return ranked.map(({ label, score }) => ({ label, score }));
      });
    });
  },

  "zero-shot-object-detection": async (source, options) => {
    const task = "zero-shot-object-detection";
    const { Detector } = await import("../find/detect.js");
    const model = await Detector.load(source, loadOptions(task, source, options));
    return made(task, model, (images: Images, labels: readonly string[], options = {}) => {
      const {
        threshold = 0.1,
        top_k,
        percentage: normalized = false,
        signal,
      } = options as CallOptions & {
        threshold?: number;
        top_k?: number | null;
        percentage?: boolean;
      };
      const how = { threshold, normalized, ...(top_k != null && { topK: top_k }), ...signalled(signal) };
      return each(images, async (image) => {
        const found = await model.detect(image, labels, how);
        return found.map(({ label, score, box: { x, y, width, height } }) => ({
          label,
          score,
          box: { xmin: x, ymin: y, xmax: x + width, ymax: y + height },
        }));
      });
    });
  },

  "image-feature-extraction": async (source, options) => {
    const task = "image-feature-extraction";
    const { Ocelli } = await import("../index.js");
    const model = await Ocelli.load(source, { ...loadOptions(task, source, options), towers: "vision" });
    return made(task, model, async (images: Images, options = {}) => {
      const { pool, signal } = options as CallOptions & { pool?: boolean | null };
      if (pool === false)
        throw new OcelliError(
          "bad-input",
          "pool: expected true or nothing, found false: hidden states are not handed out.",
        );
      const vectors = await model.embedImages(listed(images), signalled(signal));
      const features = new Features(
        [vectors.length, model.info.embeddingDim],
        new Float32Array(vectors.length * model.info.embeddingDim),
      );
      vectors.forEach((vector, at) => features.data.set(vector, at * vector.length));
      return features;
    });
  },

  "image-segmentation": async (source, options) => {
    const task = "image-segmentation";
    const { Segmenter } = await import("../find/segment.js");
    const model = await Segmenter.load(source, loadOptions(task, source, options));
    return made(task, model, (images: Images, labels: readonly string[], options = {}) => {
      const { threshold, signal } = options as CallOptions & { threshold?: number };
      const how = { ...(threshold !== undefined && { threshold }), ...signalled(signal) };
      return each(images, async (image) => {
        const masks = await model.segment(image, labels, how);
        return masks.map(({ label, width, height, bits }) => ({
          label,
          score: null,
          mask: { data: Uint8ClampedArray.from(bits, (bit) => 255 * bit), width, height, channels: 1 as const },
        }));
      });
    });
  },

  "image-to-text": async (source, options) => {
    const task = "image-to-text";
    const { Vlm } = await import("../vlm/vlm.js");
    const model = await Vlm.load(source, loadOptions(task, source, options));
    return made(task, model, (images: Images, options: GenerateOptions = {}) => {
      const how = writeOptions(options);
      return each(images, async (image) => [{ generated_text: (await model.caption(image, how)).text }]);
    });
  },

  "image-text-to-text": async (source, options) => {
    const task = "image-text-to-text";
    const { Vlm } = await import("../vlm/vlm.js");
    const model = await Vlm.load(source, loadOptions(task, source, options));
    return made(
      task,
      model,
      async (first: Images | readonly Message[], ...rest: [string, GenerateOptions?] | [GenerateOptions?]) => {
        const [prompt, options] = promptOf(first, rest);
        return [{ generated_text: (await model.generate(prompt, writeOptions(options))).text }];
      },
    );
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
 * @param model A repository of the hub with weights as safetensors, `owner/name` as in transformers.js; or any {@link ModelSource}, of which
 * addresses begin with `/`, `./`, `../` or their scheme.
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
  return (tasks[task] as Load<Task>)(sourceOf(model), options);
}

/** A function with what every pipeline has. */
function made<Task extends PipelineTask, Model extends { dispose(): void }>(
  task: Task,
  model: Model,
  call: (...given: never[]) => unknown,
): Pipelines[Task] {
  const more: Pipeline<Task, Model> = { task, model, dispose: async () => model.dispose() };
  return Object.assign(call, more) as unknown as Pipelines[Task];
}

/** What `one` makes of each picture, in order. */
async function each<I extends Images, One>(
  images: I,
  one: (image: ImageInput) => Promise<One>,
): Promise<ForEach<I, One>> {
  const all: One[] = [];
  for (const image of listed(images)) all.push(await one(image));
  return (Array.isArray(images) ? all : all[0]) as ForEach<I, One>;
}

/** A list of pictures; addresses are relative to the page. */
function listed(images: Images): ImageInput[] {
  const given = (Array.isArray(images) ? images : [images]) as readonly PipelineImage[];
  return given.map((image) => (typeof image === "string" ? new URL(image, globalThis.location?.href) : image));
}

const signalled = (signal: AbortSignal | undefined): CallOptions => (signal ? { signal } : {});

/** A picture and a text, several, or messages, with the options behind them. */
function promptOf(
  first: Images | readonly Message[],
  rest: [string, GenerateOptions?] | [GenerateOptions?],
): [Prompt, GenerateOptions] {
  const [second, third] = rest;
  if (typeof second === "string") return [{ images: listed(first as Images), prompt: second }, third ?? {}];
  const said = (message: unknown) => typeof (message as Message | null)?.role === "string";
  if (Array.isArray(first) && first.length > 0 && first.every(said))
    return [{ messages: first as readonly Message[] }, second ?? {}];
  throw new OcelliError("bad-input", "image-text-to-text: expected a picture and a text, or messages, found neither.");
}
