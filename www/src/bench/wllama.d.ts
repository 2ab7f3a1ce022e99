// The little of wllama that the benchmark uses: its own types do not pass this project's checks.
export interface Chunk {
  choices: { text: string }[];
  /** With the last one. */
  timings?: Timings;
}

export interface Timings {
  prompt_ms: number;
  /** From the first token to the last. */
  predicted_ms: number;
  /** Tokens, the first one included. */
  predicted_n: number;
}

export interface Asked {
  prompt: string;
  max_tokens: number;
  temperature: number;
  ignore_eos: boolean;
  cache_prompt: boolean;
  stream: true;
  onData: (chunk: Chunk) => void;
}

export class Wllama {
  constructor(paths: { default: string }, options: { suppressNativeLog: boolean; logger: object });
  static getLibllamaVersion(): string;
  exit(): Promise<void>;
  loadModel(
    files: Blob[],
    options: { n_threads: number; n_ctx: number; n_gpu_layers: number; n_parallel: number },
  ): Promise<void>;
  getNumThreads(): number;
  createCompletion(options: Asked): Promise<void>;
}

export const LoggerWithoutDebug: object;
