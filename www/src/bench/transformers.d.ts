// The little of transformers.js that the benchmark uses: its own types do not pass this project's checks.
export const env: {
  remoteHost: string;
  remotePathTemplate: string;
  useBrowserCache: boolean;
  useWasmCache: boolean;
  logLevel: number;
  backends: { onnx: { wasm: { wasmPaths: string; numThreads: number } } };
};

export type Dtype = "fp32" | "q8" | "int8" | "q4" | "q4f16";

export interface Device {
  device: "webgpu" | "wasm";
  dtype: Dtype;
}

export type Classify = (
  images: Blob[],
  labels: string[],
  options: { hypothesis_template: string },
) => Promise<{ label: string; score: number }[][]>;

export type Detect = (
  image: Blob,
  labels: string[],
  options: { threshold: number; percentage: true },
) => Promise<{ label: string; score: number; box: { xmin: number; ymin: number; xmax: number; ymax: number } }[]>;

export function pipeline(task: "zero-shot-image-classification", model: string, options: Device): Promise<Classify>;
export function pipeline(task: "zero-shot-object-detection", model: string, options: Device): Promise<Detect>;

type Tensors = Record<string, unknown>;

export class RawImage {
  static fromBlob(blob: Blob): Promise<RawImage>;
}

export interface Processor {
  (text: string, images: RawImage[], options: { do_image_splitting: boolean }): Promise<Tensors>;
  /** Florence-2's. */
  (image: RawImage, text: string): Promise<Tensors>;
  tokenizer(text: string, options: { add_special_tokens: boolean }): Tensors;
}

export const AutoProcessor: { from_pretrained(model: string): Promise<Processor> };

export const AutoModelForImageTextToText: {
  from_pretrained(
    model: string,
    options: Device,
  ): Promise<{ config: { is_encoder_decoder?: boolean }; generate(options: Tensors): Promise<unknown> }>;
};
