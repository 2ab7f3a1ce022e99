// The page's half of the tests of pipelines. What comes goes back as it is; nothing is judged here.
import { here } from "./here.js";
import { snippets } from "./pipeline-snippets.js";
import { pipeline } from "ocelli/pipeline";

/** What here.js says, in the words of transformers.js. */
const device = () => ({ webgpu: "webgpu", cpu: "wasm" })[here().backend];

/** As plain data. */
function plain(answer) {
  if (Array.isArray(answer)) return answer.map(plain);
  if (answer?.mask) return { ...answer, mask: { ...answer.mask, data: Array.from(answer.mask.data) } };
  if (answer?.dims)
    return {
      dims: answer.dims,
      type: answer.type,
      size: answer.size,
      data: Array.from(answer.data),
      list: answer.tolist(),
    };
  return answer;
}

export function pipelineCalls({ attempt }) {
  const made = new Map();
  return {
    /** What was told of the load. */
    loadPipeline: (task, model, options = {}) =>
      attempt(async () => {
        const told = [];
        const progress_callback = (info) => told.push(info);
        const pipe = await pipeline(task, model, { cache: false, device: device(), progress_callback, ...options });
        await made.get(task)?.dispose();
        made.set(task, pipe);
        return told;
      }),
    /** What it gives, and the pieces of text that were told. */
    callPipeline: (task, ...given) =>
      attempt(async () => {
        const told = [];
        const last = given.at(-1);
        if (last?.on_text) last.on_text = (text) => told.push(text);
        return { answer: plain(await made.get(task)(...given)), told };
      }),
    /** The task and the class of the model behind it. */
    aboutPipeline: (task) => [made.get(task).task, made.get(task).model.info.backend, typeof made.get(task)],
    /** What an example gives. */
    pipelineSnippet: (task, url) =>
      attempt(async () => plain(await snippets[task](url, { cache: false, device: device() }))),
    disposePipeline: (task) => made.get(task).dispose(),
  };
}
