import { OcelliError } from "../error.js";
import type { ModelSource } from "../source/types.js";
import type { Backend, Format, LoadOptions, Progress } from "../types.js";
import type { WriteOptions } from "../vlm/types.js";
import type { GenerateOptions, PipelineOptions, PipelineTask, ProgressInfo } from "./types.js";

const FORMATS: Record<string, Format> = {
  auto: "none",
  fp32: "none",
  fp16: "f16",
  q8: "q8",
  int8: "q8",
  uint8: "q8",
  q4: "q4",
  bnb4: "q4",
  q4f16: "q4",
};

const BACKENDS: Record<string, "auto" | Backend> = {
  auto: "auto",
  webgpu: "webgpu",
  gpu: "webgpu",
  wasm: "cpu",
  cpu: "cpu",
};

/** What transformers.js has, and would do something here that it does not. */
const LACKING = ["cache_dir", "local_files_only", "subfolder", "model_file_name", "session_options", "config"];
const LACKING_TO_WRITE = ["num_beams", "streamer", "stopping_criteria", "logits_processor", "no_repeat_ngram_size"];

/** What the model is called in messages. */
function nameOf(model: ModelSource): string {
  return typeof model === "string" || model instanceof URL ? String(model) : "model";
}

/** `owner/name` is a repository of the hub, as in transformers.js; an address begins with `/`, `./`, `../` or its scheme. */
export function sourceOf(model: ModelSource): ModelSource {
  return typeof model === "string" && /^[\w-][\w.-]*\/[\w.-]+$/.test(model) ? `hf:${model}` : model;
}

/** The options of a load. */
export function loadOptions(task: PipelineTask, model: ModelSource, options: PipelineOptions): LoadOptions {
  const { dtype = "auto", device = "auto", progress_callback, ...others } = options;
  refuse("pipeline", LACKING, others);
  const name = nameOf(model);
  const tell = progress_callback && progressOf(task, name, progress_callback);
  return {
    ...others,
    format: choice("dtype", FORMATS, dtype),
    backend: choice("device", BACKENDS, device),
    ...(tell && { onProgress: tell }),
  };
}

/** How a text is written. */
export function writeOptions(options: GenerateOptions): WriteOptions {
  refuse("generate", LACKING_TO_WRITE, options);
  const { max_new_tokens, temperature, top_k, top_p, repetition_penalty, stop_strings, seed, on_text, signal } =
    options;
  const draws = options.do_sample ?? (temperature ?? 0) > 0;
  const given = <K extends keyof WriteOptions>(key: K, value: WriteOptions[K] | undefined) =>
    value === undefined ? {} : { [key]: value };
  return {
    temperature: draws ? (temperature ?? 1) : 0,
    ...given("maxTokens", max_new_tokens),
    ...(draws && given("topK", top_k)),
    ...(draws && given("topP", top_p)),
    ...given("repetitionPenalty", repetition_penalty),
    ...given("stop", typeof stop_strings === "string" ? [stop_strings] : stop_strings),
    ...given("seed", seed),
    ...given("signal", signal),
    ...given("onToken", on_text && (({ text }) => void (text && on_text(text)))),
  };
}

function progressOf(task: PipelineTask, name: string, tell: (info: ProgressInfo) => void) {
  const file = "model";
  let begun = false;
  return ({ phase, loaded, total }: Progress): void => {
    if (!begun) tell({ status: "initiate", name, file });
    begun = true;
    if (total !== undefined)
      tell({ status: "progress", name, file, progress: total ? (100 * loaded) / total : 100, loaded, total });
    if (phase !== "ready") return;
    tell({ status: "done", name, file });
    tell({ status: "ready", task, model: name });
  };
}

function choice<T>(what: string, of: Record<string, T>, given: unknown): T {
  const found = typeof given === "string" && Object.hasOwn(of, given) ? of[given] : undefined;
  if (found !== undefined) return found;
  const expected = Object.keys(of).map((name) => JSON.stringify(name));
  throw new OcelliError("bad-input", `${what}: expected ${expected.join(", ")}, found ${JSON.stringify(given)}.`);
}

/** transformers.js would heed these: to ignore them would be another result without a word. */
function refuse(what: string, lacking: string[], options: object): void {
  const found = lacking.find((name) => (options as Record<string, unknown>)[name] != null);
  if (found)
    throw new OcelliError(
      "bad-input",
      `${what}: the option ${found} of transformers.js does not exist here: leave it out.`,
    );
}
