import type { InferenceSession, Tensor } from "onnxruntime-web/webgpu";
import { threads, threadsInWords, versions, type Classifier, type Wish } from "./engine.ts";
import { squareOf } from "./pictures.ts";

/** Texts in one run, so that a thousand labels ask for no buffer beyond the limits of a GPU. */
const TEXTS = 32;

/** ORT has no tokenizer; these ids stand for texts of the full length. */
const idOf = (text: number, place: number): bigint => BigInt(3 + ((text * 7 + place * 3) % 40));

/**
 * onnxruntime-web by hand, as an app that wants the most of it would: two sessions, pixels ready as tensors, label embeddings
 * kept. Reading the embedding back from the GPU is part of every run; decoding, resizing and tokenizing are not.
 */
export async function load({ engine, model, precision }: Wish, files: Blob[]): Promise<Classifier> {
  const gpu = engine === "ort-webgpu";
  const ort = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
  const count = engine === "ort-wasm-1" ? 1 : threads();
  ort.env.wasm.numThreads = count;
  ort.env.logLevel = "error"; // it warns of every node that it leaves on the CPU
  const [config, preprocessor, tokenizer] = await Promise.all(
    ["config", "preprocessor_config", "tokenizer_config"].map(async (name) =>
      (await found(`${model}${name}.json`)).json(),
    ),
  );
  if (precision === "q4") throw new Error("precision: expected f32 or q8: only whole models are exported in q4");
  const suffix = precision === "q8" ? "_quantized" : "";
  const open = (tower: string): Promise<InferenceSession> =>
    ort.InferenceSession.create(`${model}onnx/${tower}_model${suffix}.onnx`, {
      executionProviders: [gpu ? "webgpu" : "wasm"],
      logSeverityLevel: 3,
    });
  // One after the other: it cannot start two sessions at a time.
  const vision = await open("vision");
  const text = await open("text");

  const side: number = preprocessor.crop_size?.height ?? preprocessor.size.height ?? preprocessor.size.shortest_edge;
  const planes: Float32Array[] = [];
  for (const file of files) planes.push(normalised(await squareOf(file, side), preprocessor));
  const tensor = (count: number): Tensor => {
    const data = new Float32Array(count * 3 * side * side);
    planes.slice(0, count).forEach((plane, i) => data.set(plane, i * plane.length));
    return new ort.Tensor("float32", data, [count, 3, side, side]);
  };
  const ready = new Map([1, files.length].map((count) => [count, tensor(count)]));
  const embed = async (session: InferenceSession, feeds: Record<string, Tensor>): Promise<Float32Array> => {
    const name = session.outputNames[0] as string;
    return (await session.run(feeds, [name]))[name]?.data as Float32Array;
  };

  const length: number = config.text_config?.max_position_embeddings ?? tokenizer.model_max_length;
  const texts = async (from: number, to: number): Promise<Float32Array[]> => {
    const ids = BigInt64Array.from({ length: (to - from) * length }, (_, i) =>
      idOf(from + Math.trunc(i / length), i % length),
    );
    const feeds: Record<string, Tensor> = { input_ids: new ort.Tensor("int64", ids, [to - from, length]) };
    if (text.inputNames.includes("attention_mask")) {
      feeds["attention_mask"] = new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), [to - from, length]);
    }
    const all = await embed(text, feeds);
    const width = all.length / (to - from);
    return Array.from({ length: to - from }, (_, i) => unit(all.slice(i * width, (i + 1) * width)));
  };
  let labels: Float32Array[] = [];
  const learn = async (count: number, different: number): Promise<void> => {
    const each: Float32Array[] = [];
    for (let from = 0; from < different; from += TEXTS)
      each.push(...(await texts(from, Math.min(different, from + TEXTS))));
    labels = Array.from({ length: count }, (_, i) => each[i % different] as Float32Array);
  };
  const classify = async (): Promise<number[]> => {
    const picture = unit(await embed(vision, { pixel_values: ready.get(1) as Tensor }));
    return labels.map((label) => dot(label, picture));
  };
  return {
    facts: `onnxruntime-web ${versions.ort}, ${gpu ? "WebGPU" : "WASM"} EP, ${threadsInWords(count)}, weights ${precision}`,
    tiers: [],
    async pictures(count) {
      return embed(vision, { pixel_values: ready.get(count) as Tensor });
    },
    async answer() {
      await learn(2, 2);
      return classify();
    },
    learn,
    classify,
    see(square) {
      planes[0] = normalised(square, preprocessor);
      ready.set(1, tensor(1));
    },
  };
}

async function found(address: string): Promise<Response> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response;
}

interface Preprocessor {
  image_mean?: number[];
  image_std?: number[];
}

/** RGBA bytes as planes of normalised floats. */
function normalised(
  rgba: Uint8ClampedArray,
  { image_mean: mean = [0.5, 0.5, 0.5], image_std: std = [0.5, 0.5, 0.5] }: Preprocessor,
): Float32Array {
  const pixels = rgba.length / 4;
  return Float32Array.from({ length: pixels * 3 }, (_, i) => {
    const channel = Math.trunc(i / pixels);
    return ((rgba[(i % pixels) * 4 + channel] as number) / 255 - (mean[channel] as number)) / (std[channel] as number);
  });
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector));
  return vector.map((x) => x / length);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
