// The little of transformers.js that the benchmark uses: its own types do not pass this project's checks.
export const env: {
  remoteHost: string;
  remotePathTemplate: string;
  useBrowserCache: boolean;
  useWasmCache: boolean;
  logLevel: number;
  backends: { onnx: { wasm: { wasmPaths: string; numThreads: number } } };
};

export interface Device {
  device: "webgpu" | "wasm";
  dtype: "fp32" | "q8" | "q4" | "q4f16";
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
