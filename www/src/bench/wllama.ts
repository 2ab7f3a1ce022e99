import { LoggerWithoutDebug, Wllama, type Chunk, type Timings } from "@wllama/wllama";
import { fewWords, threads, threadsInWords, versions, type Script, type Wish, type Writer } from "./engine.ts";

/** Room for a prompt of the benchmark and what is written after it. */
const CONTEXT = 1024;

/** llama.cpp in WebAssembly, on the CPU: the decoder alone. */
export async function load({ engine, model, precision }: Wish, script: Script): Promise<Writer> {
  const count = engine === "wllama-1" ? 1 : threads();
  const file = await fetch(`${model}decoder-${precision}.gguf`);
  if (!file.ok) throw new Error(`decoder-${precision}.gguf: ${file.status}: make it by tools/export_writer.py`);
  const paths = { default: new URL("wllama/wllama.wasm", document.baseURI).href };
  const [n_threads, n_ctx, weights] = [count, CONTEXT, await file.blob()];
  const started = async (): Promise<Wllama> => {
    const wllama = new Wllama(paths, { logger: LoggerWithoutDebug, suppressNativeLog: true });
    await wllama.loadModel([weights], { n_threads, n_ctx, n_gpu_layers: 0, n_parallel: 1 });
    return wllama;
  };
  let wllama = await started();
  let answers = 0;
  const write: Writer["write"] = async ({ text }, tokens) => {
    // Its second text of 256 tokens ends with "Invalid typed array length", so each text has an instance of its own, made beforehand.
    if (answers++ > 0) {
      await wllama.exit();
      wllama = await started();
    }
    let written = "";
    let timings: Timings | undefined;
    const onData = (chunk: Chunk): void => {
      written += chunk.choices[0]?.text ?? "";
      timings = chunk.timings ?? timings;
    };
    // What it would keep of the last prompt is of no use to the next one.
    const own = { cache_prompt: false, ignore_eos: true };
    await wllama.createCompletion({ prompt: text, max_tokens: tokens, temperature: 0, stream: true, ...own, onData });
    if (!timings) throw new Error("wllama: expected its own times with the last token, found none");
    // A token is handed out when the next one is there, so its own times are what counts.
    const { prompt_ms, predicted_ms, predicted_n } = timings;
    return { tokens: tokensOf(written, predicted_n), first: prompt_ms, each: predicted_ms / (predicted_n - 1) };
  };
  return {
    facts: `wllama ${versions.wllama} (llama.cpp ${Wllama.getLibllamaVersion()}), CPU, ${threadsInWords(wllama.getNumThreads())}, weights ${precision}, the decoder alone`,
    tiers: [],
    sees: false,
    write,
    answer: async () => (await write(fewWords(script, answers), 1)).tokens,
  };
}

/** Ids that the tokenizer has no pieces for, which are spelled out in the file; -1 for others, which come last. */
function tokensOf(text: string, count: number): number[] {
  const found = [...text.matchAll(/<unused(\d+)>/g)].map(([, id]) => Number(id));
  return Array.from({ length: count }, (_, at) => found[at] ?? -1);
}
