// One engine in a page of its own. In a frame of the bench page, that page asks; opened by itself with ?engine=…, it measures a
// cold start: from the navigation to the first answer.
import { scriptOf, type Engine, type Precision, type Task, type Wish } from "./engine.ts";
import { drawPictures, pictureOf } from "./pictures.ts";

performance.setResourceTimingBufferSize(10_000); // the page adds up what was downloaded

async function load(wish: Wish, pictures: number): Promise<Engine> {
  const kind = wish.engine.split(/[:-]/)[0];
  if (wish.task === "detect") {
    const picture = await pictureOf(wish.model);
    if (kind === "ocelli") return (await import("./ocelli.ts")).loadFinder(wish, picture);
    if (kind === "transformers") return (await import("./transformers.ts")).loadFinder(wish, picture);
    throw new Error(`engine: expected ocelli or transformers-… for detection, found ${wish.engine}`);
  }
  if (wish.task === "write") {
    const script = await scriptOf(wish.model);
    if (kind === "ocelli") return (await import("./ocelli.ts")).loadWriter(wish, script);
    if (kind === "transformers") return (await import("./transformers.ts")).loadWriter(wish, script);
    if (kind === "wllama") return (await import("./wllama.ts")).load(wish, script);
    throw new Error(`engine: expected ocelli, transformers-… or wllama for writing, found ${wish.engine}`);
  }
  const files = await drawPictures(pictures);
  if (kind === "ocelli") return (await import("./ocelli.ts")).load(wish, files);
  if (kind === "ort") return (await import("./ort.ts")).load(wish, files);
  if (kind === "transformers") return (await import("./transformers.ts")).load(wish, files);
  throw new Error(`engine: expected ocelli, ort-… or transformers-…, found ${wish.engine}`);
}

window.frame = { load };

const asked = new URLSearchParams(location.search);
const engine = asked.get("engine");
if (engine) {
  const model = new URL(asked.get("model") ?? "models/ocelli-tiny/", document.baseURI).href;
  const precision = (asked.get("precision") ?? "f32") as Precision;
  const task = (asked.get("task") ?? "classify") as Task;
  load({ task, engine, model, precision, keep: asked.has("keep") }, 1)
    .then(async (engine) => {
      await engine.answer();
      const done = performance.now();
      await engine.answer();
      window.cold = { done, warm: performance.now() - done, facts: engine.facts };
    })
    .catch((error: unknown) => (window.cold = { error: String(error) }));
}
