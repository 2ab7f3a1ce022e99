import type { Dtype } from "@huggingface/transformers";
import {
  Clock,
  fewWords,
  fourLabels,
  labelList,
  template,
  threads,
  threadsInWords,
  versions,
  type Classifier,
  type Finder,
  type Script,
  type Wish,
  type Writer,
} from "./engine.ts";
import { bestOf } from "./boxes.ts";
import { pictureNumber } from "./pictures.ts";

/** The library, told where the files are, and how its pipelines are loaded. */
async function prepared({ engine, model, precision }: Wish) {
  const library = await import("@huggingface/transformers");
  const { env } = library;
  const folder = new URL(model);
  // The folder is where it is; the name stands for nothing, but has to look like one of a model.
  env.remoteHost = `${folder.origin}/`;
  env.remotePathTemplate = folder.pathname.slice(1);
  // Caches would make a second load another thing than the first, and they slow the first one down.
  env.useBrowserCache = false;
  env.useWasmCache = false;
  env.backends.onnx.wasm.wasmPaths = new URL("ort-transformers/", document.baseURI).href;
  env.backends.onnx.wasm.numThreads = threads();
  env.logLevel = 40; // errors alone
  const gpu = engine === "transformers-webgpu";
  const dtypes = { f32: "fp32", q8: "q8", q4: gpu && !(await hasHalf()) ? "q4" : "q4f16" } as const;
  const dtype = dtypes[precision];
  return {
    library,
    pipeline: library.pipeline,
    device: { device: gpu ? "webgpu" : "wasm", dtype } as const,
    facts: factsOf(gpu, dtype),
    tiers: [],
  };
}

const factsOf = (gpu: boolean, dtype: Dtype): string =>
  `transformers.js ${versions.transformers} on onnxruntime-web ${versions.transformersOrt}, ${gpu ? "WebGPU" : "WASM"} EP, ${threadsInWords()}, weights ${dtype}`;

/**
 * transformers.js's pipeline, as its documentation shows it: picture files in, scores out. It keeps no label embeddings, so every
 * call embeds all labels again; and it has no call for a picture alone, so a picture is asked with two labels.
 */
export async function load(wish: Wish, files: Blob[]): Promise<Classifier> {
  const { pipeline, device, facts, tiers } = await prepared(wish);
  const ask = await pipeline("zero-shot-image-classification", "the/model", device);
  const options = { hypothesis_template: template };
  let names: string[] = [];
  const classify = async (): Promise<number[]> => {
    const scores = new Map(
      (await ask([files[0] as Blob], names, options))[0]?.map(({ label, score }) => [label, score]),
    );
    return names.map((name) => scores.get(name) ?? NaN);
  };
  return {
    facts,
    tiers,
    async pictures(count) {
      await ask(files.slice(0, count), labelList(2), options);
      return new Float32Array();
    },
    async answer() {
      names = labelList(2);
      return classify();
    },
    async learn(count) {
      names = labelList(count); // all different: it tells them apart by name alone
    },
    classify,
    async zeroShot() {
      names = fourLabels;
      return classify();
    },
  };
}

/** Likewise its pipeline for detection. Every call runs both towers. */
export async function loadFinder(wish: Wish, picture: Blob): Promise<Finder> {
  const { pipeline, device, facts, tiers } = await prepared(wish);
  const ask = await pipeline("zero-shot-object-detection", "the/model", device);
  const find = async (labels: string[]) => {
    const all = await ask(picture, labels, { threshold: 0, percentage: true });
    return bestOf(
      labels,
      all.map(({ label, score, box: { xmin, ymin, xmax, ymax } }) => ({ label, score, box: [xmin, ymin, xmax, ymax] })),
    );
  };
  return { facts, tiers, keeps: false, find, answer: async () => (await find(labelList(2))).map(({ score }) => score) };
}

/** A model that writes, as its documentation shows it: processor, `generate`, and a streamer that takes the time. */
export async function loadWriter(wish: Wish, script: Script): Promise<Writer> {
  const { library, device: usual } = await prepared(wish);
  const gpu = usual.device === "webgpu";
  // WebGPU has no kernels for dynamic int8: there `int8` stands for matrices in 8 bits with a scale for 32 weights.
  const dtype = ({ f32: "fp32", q8: gpu ? "int8" : "q8", q4: "q4" } as const)[wish.precision];
  const processor = await library.AutoProcessor.from_pretrained("the/model");
  const model = await library.AutoModelForImageTextToText.from_pretrained("the/model", { device: usual.device, dtype });
  // Florence-2, whose processor takes the picture first.
  const readByEncoder = model.config.is_encoder_decoder === true;
  let answers = 0;
  const write: Writer["write"] = async ({ text, picture }, count) => {
    const file = picture === undefined ? undefined : await pictureNumber(wish.model, picture);
    const clock = new Clock();
    const image = file && (await library.RawImage.fromBlob(file));
    const inputs = !image
      ? processor.tokenizer(text, { add_special_tokens: false })
      : readByEncoder
        ? await processor(image, text)
        : await processor(text, [image], { do_image_splitting: false });
    const tokens: number[] = [];
    let prompt = true;
    const streamer = {
      put([ids]: bigint[][]) {
        // The first one is the prompt.
        if (!prompt) {
          clock.tick();
          tokens.push(...(ids as bigint[]).map(Number));
        }
        prompt = false;
      },
      end() {},
    };
    await model.generate({ ...inputs, max_new_tokens: count, do_sample: false, eos_token_id: null, streamer });
    return clock.written(tokens);
  };
  return {
    facts: factsOf(gpu, dtype),
    tiers: [],
    sees: true,
    write,
    answer: async () => (await write(fewWords(script, answers++), 1)).tokens,
  };
}

/** Whether shaders may use f16, as q4f16 must. */
async function hasHalf(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<{ features: ReadonlySet<string> } | null> } };
  return (await gpu?.requestAdapter())?.features.has("shader-f16") ?? false;
}
