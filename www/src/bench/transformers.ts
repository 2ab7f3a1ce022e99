import {
  fourLabels,
  labelList,
  template,
  threads,
  threadsInWords,
  versions,
  type Engine,
  type Wish,
} from "./engine.ts";

/**
 * transformers.js's pipeline, as its documentation shows it: picture files in, scores out. It keeps no label embeddings, so every
 * call embeds all labels again; and it has no call for a picture alone, so a picture is asked with two labels.
 */
export async function load({ engine, model, precision }: Wish, files: Blob[]): Promise<Engine> {
  const { env, pipeline } = await import("@huggingface/transformers");
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
  const dtype = { f32: "fp32", q8: "q8", q4: gpu && !(await hasHalf()) ? "q4" : "q4f16" } as const;
  const ask = await pipeline("zero-shot-image-classification", "the/model", {
    device: gpu ? "webgpu" : "wasm",
    dtype: dtype[precision],
  });
  const options = { hypothesis_template: template };
  let names: string[] = [];
  const classify = async (): Promise<number[]> => {
    const scores = new Map(
      (await ask([files[0] as Blob], names, options))[0]?.map(({ label, score }) => [label, score]),
    );
    return names.map((name) => scores.get(name) ?? NaN);
  };
  return {
    facts: `transformers.js ${versions.transformers} on onnxruntime-web ${versions.transformersOrt}, ${gpu ? "WebGPU" : "WASM"} EP, ${threadsInWords()}, weights ${dtype[precision]}`,
    tiers: [],
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

/** Whether shaders may use f16, as q4f16 must. */
async function hasHalf(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<{ features: ReadonlySet<string> } | null> } };
  return (await gpu?.requestAdapter())?.features.has("shader-f16") ?? false;
}
