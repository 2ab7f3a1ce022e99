import type { MaskData, MaskSize, SceneData, Wanted } from "./find/plain.js";
import type { SourceOptions } from "./source/types.js";
import type { Answer, Begun, Detail, Manner, Places, PromptRequest, Sought, Step } from "./vlm/plain.js";
import type { Backend, Format, ImageInput, ModelInfo, Task, Tier, Towers, Verification, WasmOptions } from "./types.js";

/** What is made of a model's files, whichever engine it runs on. */
export interface ModelSettings {
  towers: Towers;
  format: Format;
  alpha: "drop" | "white";
  tokenTable: "memory" | "server";
  /** Of a NaFlex model; its own if undefined. */
  maxNumPatches: number | undefined;
  /** Side of the square that the model sees; its own if undefined. */
  canvas: number | undefined;
  /** Room for so many tokens; as many as the model has if undefined. */
  context: number | undefined;
  /** Whether a segmenter takes images as prompts. */
  picturePrompts: boolean;
}

/** What a model is loaded with; all of it can be posted to a worker, but for functions of the user's own. */
export interface CoreOptions extends WasmOptions, SourceOptions, ModelSettings {
  /** What it must be able to do, if anything. */
  task: Task | undefined;
  backend: Backend | "auto";
  threads: "auto" | number;
  powerPreference: string;
  tier: "auto" | Tier;
  /** What {@link ModelInfo.note} says besides. */
  note?: string | undefined;
}

/** What can be asked of a model, wherever it runs. */
export interface Calls {
  readonly info: ModelInfo;
  imageBatch(): Promise<number>;
  embedImages(images: ImageInput[], signal?: AbortSignal, transfer?: boolean): Promise<Float32Array>;
  embedTexts(texts: string[]): Promise<Float32Array>;
  cuts(texts: string[]): Promise<boolean[]>;
  addLabels(embeddings: Float32Array): Promise<number>;
  dropLabels(number: number): void;
  classify(number: number, image: ImageInput, signal?: AbortSignal): Promise<Float32Array>;
  tokenize(text: string): Promise<Uint32Array>;
  preprocess(image: ImageInput, signal?: AbortSignal): Promise<ImageData>;
  look(image: ImageInput, signal?: AbortSignal): Promise<SceneData>;
  addQueries(vectors: Float32Array): Promise<number>;
  detect(number: number, scene: SceneData, wanted: Wanted): Promise<Float64Array>;
  objects(scene: SceneData, wanted: Wanted): Promise<Float64Array>;
  example(scene: SceneData, region: Float64Array | undefined): Promise<Float32Array>;
  picturePrompt(image: ImageInput, signal?: AbortSignal): Promise<Float32Array>;
  segment(scene: SceneData, prompts: Float32Array, threshold: number, size: MaskSize): Promise<MaskData[]>;
  begin(request: PromptRequest, images: ImageInput[], manner: Manner, signal?: AbortSignal): Promise<Begun>;
  next(text: number): Promise<Step>;
  end(text: number): Promise<void>;
  places(answer: string, sought: Sought): Promise<Places>;
  answered(task: string, answer: string, width: number, height: number): Promise<Answer>;
  countPrompt(request: PromptRequest, images: ImageInput[], detail: Detail, signal?: AbortSignal): Promise<number>;
  verify(): Promise<Verification>;
  dispose(): void;
}
