import type { SourceOptions } from "./source/types.js";

/** How weights are kept on the GPU: as the files have them, or quantised while loading, which is slow for big models in q4:
 * `ocelli quantize` does it once and for all. */
export type Format = "none" | "f16" | "q8" | "q4";

/**
 * What a score means.
 * - `softmax`: which of these is it? Probabilities over the labels given; they add up to 1, also if none of them fits.
 * - `sigmoid`: is it this? Each label on its own, 0 to 1. For SigLIP, which was trained so; its values are small by nature: 0.2 can
 *   be right. CLIP was not, and comes out at 1 for nearly everything.
 * - `cosine`: the cosine between image and label, -1 to 1. For thresholds of your own, and for search. Differs from model to model:
 *   0.3 is much for CLIP, 0.1 for SigLIP.
 * - `logits`: scale · cosine + bias, of which softmax and sigmoid are made. For arithmetic of your own.
 * - `auto`: the model's own rule, softmax for CLIP and sigmoid for SigLIP.
 */
export type Score = "auto" | "softmax" | "sigmoid" | "cosine" | "logits";

/**
 * What can be asked of a model: `classify` and `embed` of an {@link Ocelli}, `detect` of a detector, `segment` of a segmenter, `generate` of
 * a model that writes.
 */
export type Task = "classify" | "embed" | "detect" | "segment" | "generate";

/**
 * Which towers to load: `vision` for images alone, `text` for texts alone. The other's weights are not fetched. `both` means those that
 * the checkpoint has.
 */
export type Towers = "both" | "vision" | "text";

/**
 * A way of computing matrix products and attention; what is fastest differs from device to device.
 * - `plain`, `registers`: without workgroup memory; `registers` has the larger tiles and is for software adapters.
 * - `tiled`, `wide`: tiles in workgroup memory, 4 × 4 or 8 × 8 numbers an invocation.
 * - `sliced`: as `tiled`, four invocations for each sum, for large GPUs and little work.
 * - `half`: as `wide`, in f16 with sums in f32; where the device has `shader-f16`.
 * - `dot8`: 8-bit dot products for weights in q8 and q4.
 */
export type Tier = "plain" | "registers" | "tiled" | "sliced" | "wide" | "half" | "dot8";

/** How far a load has come. `loaded` never decreases; the last report has `loaded` equal to `total`. */
export interface Progress {
  /** `"files"`: what describes the model; then its `"weights"`; `"ready"` is said once, at the end. */
  phase: "files" | "weights" | "ready";
  /** Bytes that have arrived, from the network or the cache; they go to the GPU as they come. */
  loaded: number;
  /** Bytes that will have arrived; absent while unknown, in the phase `"files"`. */
  total?: number;
  /** `loaded / total`, from 0 to 1; absent while that is unknown. */
  fraction?: number;
  /** Bytes a second, lately; 0 in the first quarter of a second. */
  rate: number;
}

/** What computes: the GPU through WebGPU, or the CPU through WebAssembly's vector instructions. */
export type Backend = "webgpu" | "cpu";

/**
 * The package's wasm files: `ocelli_bg.wasm` (models on the GPU), `ocelli_cpu_bg.wasm` and `ocelli_cpu_relaxed_bg.wasm` (models on the
 * CPU; the second for browsers with relaxed SIMD, where it is faster), `ocelli_tokenizer_bg.wasm`; and for models that write
 * `ocelli_vlm_bg.wasm`, `ocelli_vlm_cpu_bg.wasm` and `ocelli_vlm_cpu_relaxed_bg.wasm` in place of the first three.
 */
export type WasmFile = "gpu" | "cpu" | "cpuRelaxed" | "vlm" | "vlmCpu" | "vlmCpuRelaxed" | "tokenizer";

/** What runs models on the CPU, by the first of its files. */
export type CpuPart = Extract<WasmFile, "cpu" | "vlmCpu">;

/** Where the package's wasm files are. The first load decides. */
export interface WasmOptions {
  /**
   * Their addresses, if the bundler does not find them: of `ocelli_bg.wasm` (for a model that writes `ocelli_vlm_bg.wasm`), or
   * of each of them. Where `cpu` is named and `cpuRelaxed` is not, every browser takes `cpu`; likewise with `vlmCpu`.
   */
  wasmUrl?: string | URL | Partial<Record<WasmFile, string | URL>> | undefined;
  /** The files themselves, compiled already, likewise. */
  wasmModule?: WebAssembly.Module | Partial<Record<WasmFile, WebAssembly.Module>> | undefined;
}

/** What {@link Ocelli.load} takes. */
export interface LoadOptions extends WasmOptions, SourceOptions {
  /** Called often; must be quick. What it throws stops the load, which fails with code `bad-input` and that error as its cause. */
  onProgress?: (progress: Progress) => void;
  /**
   * How weights are kept, on the device and in the cache. Default `"none"`, as the files have them. Other formats are converted to while
   * the model arrives; a cache keeps what came of that in place of the original, which is fetched again for another format.
   */
  format?: Format;
  /**
   * What becomes of transparent pixels. `"drop"` (default): alpha is dropped, and the colours that were hidden show, as by Pillow's
   * `convert("RGB")`, open_clip and transformers 4. `"white"`: the image is put on white, as transformers 5's processors do.
   * Embeddings of such images differ, so an index keeps to one of them.
   */
  alpha?: "drop" | "white";
  /** Default `"both"`. Without a tower, calls that need it are an error with code `bad-input`. */
  towers?: Towers;
  /**
   * Where the token table stays. `"memory"` (default): all of it comes with the model. `"server"`: only the rows that a text
   * needs are fetched, when it needs them, by Range requests, which the server must know. SigLIP 2's table is half of the model.
   */
  tokenTable?: "memory" | "server";
  /**
   * Of a NaFlex model (SigLIP 2's `siglip2`), whose images keep their shape: how many patches an image has at most, 1 to 16,384. More
   * see finer detail and take longer. Default: the model's own, mostly 256. For other models it is an error with the code `bad-input`.
   */
  maxNumPatches?: number;
  /**
   * `"auto"` (default): the GPU; the CPU where there is no WebGPU, or where WebGPU is emulated on the CPU and a short race shows
   * that the CPU itself is faster, or where the browser gives no GPU within ten seconds. {@link ModelInfo.backend} tells what it came
   * to. On the CPU a call holds up the thread that it runs in for a second or so with a model of usual size: load with `worker: true`.
   */
  backend?: "auto" | Backend;
  /**
   * How many threads a model on the CPU runs in: the one that it is loaded in, and workers that have a share of the weights each. They are
   * started from `worker.js`, as with {@link LoadOptions.worker}; where the browser refuses them it stays with one, and
   * {@link ModelInfo.note} has the reason. Any number of them gives the same embeddings, to the last bit. `"auto"` (default): as many as
   * there are cores, but at most 4. It does not matter on the GPU.
   */
  threads?: "auto" | number;
  /**
   * Runs all of it in a dedicated worker, so that the page never waits. Everything else stays the same. Images that live in the
   * page, such as elements, are decoded there and handed over. Where the browser refuses the worker, the load fails with code
   * `no-worker` and the reason; with `"prefer"` it goes on in the page, and {@link ModelInfo.note} has the reason.
   */
  worker?: boolean | "prefer";
  /**
   * Where `worker.js` is, if the bundler does not find it: an address of the page's own origin. A page that asks for Trusted
   * Types passes a `TrustedScriptURL`.
   */
  workerUrl?: string | URL | Pick<URL, "toJSON" | "toString">;
  /**
   * Which kernels run. `"auto"` (default) races them for a moment on a device that this site has not met yet, and keeps the
   * outcome in `localStorage`. It never takes `"dot8"`, which rounds the inputs of each matrix to 8 bits, and for weights in f32 never
   * `"half"`, which computes in f16: ask for one by name. {@link ModelInfo.tierCost} says what it costs.
   */
  tier?: "auto" | Tier;
  /** Which GPU to ask for where there are two. */
  powerPreference?: "low-power" | "high-performance";
  /** Stops the load, whatever it waits for. What arrived stays in the cache. */
  signal?: AbortSignal;
}

/** What `Detector.load` and `Segmenter.load` take besides. */
export interface FindLoadOptions {
  /**
   * Side of the square that OWLv2 or CLIPSeg sees, in pixels: a multiple of a patch's side, for OWLv2 at most its own (960 or 1,008). A
   * smaller one is faster and less accurate. Default: the model's own. For other models it is an error with the code `bad-input`.
   */
  canvas?: number;
}

/** What `Vlm.load` takes besides. */
export interface ContextOptions {
  /**
   * Room for so many tokens: a prompt's, those of its images, and those that are written after it. More of it takes more of the device's
   * memory. Default: as much as the model was made for, but at most 4,096, or what one image in all its detail and 1,024 tokens of text
   * need.
   */
  context?: number;
}

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with the code `aborted`. What the GPU has begun it still finishes. */
  signal?: AbortSignal;
}

/** What happens to a model without a call: see {@link Ocelli.on}. */
export interface ModelEvents {
  /** The GPU went away, or the engine failed. */
  devicelost: ModelInfo;
  /** The model was loaded again. */
  restored: ModelInfo;
}

/** How labels are put into words, and what their scores mean. */
export interface LabelOptions extends CallOptions {
  /**
   * What each label is put into, at `{}`: a sentence, or several, over whose embeddings the mean is taken, as in CLIP's paper.
   * Default: the label as it is. `ocelli/templates` has sets of them.
   */
  templates?: string | readonly string[];
  /** The same for one sentence: `"a photo of a {}."`. */
  template?: string;
  /** What `classify` gives if it is not asked for something else. Default `"auto"`. */
  score?: Score;
  /** What is put into the templates for "something", which {@link RankOptions.multiLabel} compares with for CLIP. Default `"thing"`. */
  neutral?: string;
  /**
   * Whether the labels' embeddings are kept in the browser's cache and looked for there, by model, format, templates and label: on
   * the next visit neither the text tower nor its weights are needed for them. Default true.
   */
  cache?: boolean;
}

/** How labels are ranked, and which of them. */
export interface RankOptions extends CallOptions {
  /** Default: as the set was made. */
  score?: Score;
  /** Return only so many, best first. Default: all. */
  topK?: number;
  /**
   * Leave out what scores less, in the score's own unit. Default: nothing is left out; with `multiLabel`, what is below its
   * label's threshold if {@link LabelSet.calibrate} found one.
   */
  threshold?: number;
  /**
   * Judge each label on its own, 0 to 1, so that several may be right, or none. SigLIP was trained for that, and this is its sigmoid.
   * CLIP was not: the score is a softmax between the label and a neutral text ("thing" in the same templates), so 0.5 says that the
   * label fits as well as anything. For both, `calibrate` finds better thresholds than any fixed one.
   */
  multiLabel?: boolean;
}

/** An image and the labels that it should get. */
export interface Example {
  /** The image, or its embedding. */
  image: ImageInput | Float32Array;
  /** Those that are right, of the set's; the others are taken to be wrong. */
  labels: string[];
}

/** What `calibrate` found for a label of a set. */
export interface Calibration {
  /** Of the set. */
  label: string;
  /** From 0 to 1: of labels, as scores with `multiLabel`; of a detector's, as its scores. */
  threshold: number;
  /** 2 · right answers / (answers + images that have it), from 0 to 1; null if no example has this label. */
  f1: number | null;
  /** How many examples have it. */
  examples: number;
}

/** What {@link Ocelli.classify} takes. */
export interface ClassifyOptions extends LabelOptions, RankOptions {}

/** What {@link Ocelli.embedImages} takes. */
export interface BatchOptions extends CallOptions {
  /** Told after each batch how many embeddings are here; must be quick. What it throws ends the call, with code `bad-input`. */
  onProgress?: (done: number) => void;
  /** Moves `ImageBitmap`s to the model's worker, in place of copies: they are of no more use afterwards. Default: false. */
  transfer?: boolean;
}

/** A label and its score for an image. */
export interface Classification {
  /** The label as given, without its template. */
  label: string;
  /** Place in the list of labels as given. */
  index: number;
  /** See {@link Score}. */
  score: number;
}

/** A loaded model, and what it runs on. */
export interface ModelInfo {
  /** What computes. */
  backend: Backend;
  /** The GPU, as far as the browser tells; `"CPU"` on the CPU. */
  adapter: string;
  /** How many threads compute: see {@link LoadOptions.threads}; 1 on the GPU. */
  threads: number;
  /**
   * What is not as one would expect: why it is this device, tier or place (the page where a worker was asked for), which tensors of the
   * checkpoint were left out. Absent if all is well.
   */
  note?: string;
  /** Which kind of model it is. */
  family:
    | "clip"
    | "siglip"
    | "owlvit"
    | "owlv2"
    | "clipseg"
    | "llama"
    | "qwen2"
    | "qwen3"
    | "gemma"
    | "gemma2"
    | "gemma3_text"
    | "smolvlm"
    | "paligemma"
    | "llava"
    | "llava_onevision"
    | "florence2";
  /** What can be asked of it; anything else is an error with the code `wrong-model`. */
  tasks: Task[];
  /** What was loaded of it: of a checkpoint that has one tower alone, that one, whatever was asked for. */
  towers: Towers;
  /** How matrices are kept: f32, f16, q8 or q4. */
  format: string;
  /**
   * What tells this model from others, the same whichever tower is loaded and however matrices are kept: SHA-256 in hexadecimal of
   * manifest.json; without one, of what describes the model and its tensors, and of its logit scale and bias.
   */
  modelHash: string;
  /** What cosines are multiplied by; 1 in a checkpoint of a single tower, which has no cosines. */
  logitScale: number;
  /** What is added then; 0 for CLIP, or for a single tower. */
  logitBias: number;
  /**
   * The kernel tier that most matrix products run in, or the one that rounds if any does; `plain` on the CPU. Small and large
   * products may run in others: see {@link ModelInfo.kernels}.
   */
  tier: Tier;
  /**
   * How far this tier moves an embedding at most, as a share of the mean distance between embeddings of unrelated inputs: 0 in tiers
   * that compute in f32, 0.005 in `half`, 0.06 in `dot8` together with what q8 weights lose. Measured on small models of random
   * weights, which amplify what they lose.
   */
  tierCost: number;
  /** Those that this device can run. */
  tiers: Tier[];
  /**
   * Side of the square that the model sees, in pixels; of a NaFlex model, whose images keep their shape, the usual one; 0 in a
   * checkpoint of the text tower alone.
   */
  imageSize: number;
  /** Most patches of an image, for a NaFlex model; null for others, whose images all become the same square. */
  maxNumPatches: number | null;
  /** Of a model that writes: most tokens of a prompt and of what is written after it; null for others. */
  context: number | null;
  /** Numbers in an embedding. */
  embeddingDim: number;
  /** Weights in the towers that were loaded. */
  parameters: number;
  /** What came over the network; the rest was in the cache, or is the user's own. */
  downloadBytes: number;
  /** Bytes of live GPU buffers after loading. */
  gpuBytes: number;
  /** Names of the compiled kernels. */
  kernels: string[];
  /** Kernels that run one after the other for an image. */
  dispatchesPerImage: number;
  /** Likewise for a text. */
  dispatchesPerText: number;
  /** What `"auto"` means for this model. */
  defaultScore: "softmax" | "sigmoid";
}

/** What {@link Ocelli.verify} found. */
export interface Verification {
  /** All checks passed. */
  ok: boolean;
  /** As in {@link ModelInfo.adapter}. */
  adapter: string;
  /** Whether the model itself was checked, or only the kernels: its folder had a goldens.json. */
  goldens: boolean;
  /** The first check that failed: a kernel, or the first step of a tower. */
  off: string | null;
  /** All that was checked, in order. */
  checks: Check[];
}

/** One thing that {@link Ocelli.verify} checked. */
export interface Check {
  /** A kernel with its sizes, or a step of a tower. */
  name: string;
  /** How often it was run; every run must give the same. */
  runs: number;
  /** The largest error as a share of what it may be; null if it failed. */
  share: number | null;
  /** It is right. */
  ok: boolean;
  /** What is wrong. */
  why?: string;
}

/**
 * An image. Pixels of files, `ImageData` and unpremultiplied bitmaps arrive exactly; others as the browser keeps them. A file comes as
 * a `Blob`, as its bytes, as the `Response` to a request, or as a `URL`, which is fetched; an SVG file needs a page, and a width and a
 * height. An `<img>` that has not loaded is waited for, and one that is lazy is loaded.
 */
export type ImageInput =
  | Blob
  | ArrayBuffer
  | Uint8Array
  | Response
  | URL
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | ImageData
  | HTMLVideoElement
  | VideoFrame;
