// The shipped types, as strict TypeScript projects meet them: with old and new compilers, as modules and from CommonJS, and with every
// declaration of the package checked, too.
import { full } from "../lib/full.mjs";
import { complaints } from "../lib/types.mjs";

const CONSUMER = `import { Ocelli, OcelliError, type Bytes, type Classification, type ImageInput, type LabelSet } from "ocelli";
import { Detector, type Detection, type Proposal, type QuerySet } from "ocelli/detect";
import { ImageIndex, type Hit } from "ocelli/index";
import { Segmenter, type Mask } from "ocelli/segment";
import { best7 } from "ocelli/templates";
import { LanguageModel, Vlm, WritingError, type Message, type TextStream, type VisionTask, type Written } from "ocelli/vlm";
import { drawBoxes, drawMask, type BoxOptions } from "ocelli/draw";
export async function ask(image: ImageInput, signal: AbortSignal): Promise<Classification | undefined> {
  const model = await Ocelli.load("/models/", { onProgress: ({ loaded, total, fraction }) => console.log(loaded, total ?? "?", (fraction ?? 0) * 100), signal, towers: "both" });
  const bytes: Bytes = new Uint8Array(4);
  await Ocelli.load({ "config.json": bytes, "model.safetensors": new Blob([bytes]) }, { worker: "prefer", cache: { get: async () => bytes, put: async () => {}, delete: async () => {}, keys: async () => [] } });
  const v: Float32Array = await model.embedImage(image);
  const t: Float32Array = await model.embedText("a cat");
  const all: Float32Array[] = await model.embedImages([image], { onProgress: (done) => console.log(done * 2), signal });
  const later: Float32Array[] = await model.embedImages((async function* () { yield image; })());
  const words: Float32Array[] = await model.embedTexts(["a cat"]);
  const set: LabelSet = await model.labels(["a cat"], { template: "a {}", score: "cosine" });
  const best: Classification | undefined = (await set.classify(image, { topK: 1, multiLabel: true, threshold: 0.5, signal }))[0];
  const taught: LabelSet = await model.loadLabels((await model.learn({ cup: [image] }, { templates: best7 })).save());
  await taught.learn("cup", [image]);
  for await (const [first] of taught.classifyAll([image])) console.log(first?.label, taught.score(v), await taught.calibrate([{ image, labels: ["cup"] }]));
  console.log(v.length === t.length, model.info.adapter, all.length + later.length === words.length, best?.label, set.names[0]);
  try {
    return (await model.classify(image, ["a cat", "a dog"], { template: "a photo of a {}.", score: "softmax", topK: 1 }))[0];
  } catch (error) {
    if (error instanceof OcelliError && error.code === "bad-image") return undefined;
    throw error;
  } finally {
    model.dispose();
  }
}
export function show(canvas: HTMLCanvasElement, picture: ImageBitmap | null, options: BoxOptions): void {
  drawBoxes(canvas, picture, [{ label: "a cat", index: 0, score: 0.5, box: { x: 1, y: 2, width: 3, height: 4 } }], options);
  drawMask(canvas, { width: 2, height: 1, bits: new Uint8Array(2) }, { color: "#fff", opacity: 0.3 });
}
export async function find(model: Ocelli, image: ImageInput): Promise<Hit<number>[]> {
  const index = await ImageIndex.create<number>({ model, format: "int8" });
  await index.add([{ id: "a", meta: 1 }], [image]);
  const one: Float32Array | undefined = index.vector("a");
  console.log(one?.length, await ImageIndex.import(index.export("safetensors")));
  return index.search("a cat", { k: 1, filter: ({ meta }) => meta === 1, minScore: 0.1 });
}
export async function where(image: ImageInput, signal: AbortSignal): Promise<Detection[]> {
  const detector = await Detector.load("hf:google/owlv2-base-patch16-ensemble", { format: "q8", canvas: 672, worker: true });
  const scene = await detector.look(image);
  const set: QuerySet = await detector.queries(["a cat", { label: "cup", image, box: { x: 1, y: 2, width: 3, height: 4 } }, { negative: true, image: scene }]);
  console.log(await scene.detect(set), await detector.scene(scene.data).detect(["a dog"], { template: "a photo of {}" }));
  const things: Proposal[] = await scene.objects({ topK: 20, threshold: 0.1, nms: 0.5, clip: false, normalized: true, signal });
  const [first] = await set.calibrate([{ image, labels: ["cup"] }, { image: scene, labels: [] }], { signal });
  console.log(things[0]?.box.x, first?.threshold, set.cut[0]);
  const segmenter = await Segmenter.load("/models/", { picturePrompts: true });
  const [mask]: Mask[] = await segmenter.segment(image, ["a glass", image], { threshold: 0.4, size: "picture" });
  console.log(mask?.toImageData({ color: "#ff0000" }).width, mask?.toRLE().counts[0], mask?.toPolygons()[0]?.[0]?.[0], mask?.box?.x, mask?.area, mask?.cut);
  return detector.detect(image, set, { threshold: 0.2, nms: 0.5, topK: 50 });
}
export async function write(image: ImageInput, signal: AbortSignal): Promise<string> {
  const model = await Vlm.load("hf:HuggingFaceTB/SmolVLM-256M-Instruct", { format: "q8", context: 2048, worker: true });
  const messages: Message[] = [{ role: "user", content: [{ type: "image", image }, { type: "text", text: "What is this?" }] }];
  const written: Written = await model.generate({ messages }, { maxTokens: 20, temperature: 0.7, seed: 3, stop: ["."], detail: "low", signal });
  const stream: TextStream = model.stream({ image, prompt: "What is this?" }, { onToken: ({ id, text }) => console.log(id, text.length) });
  for await (const part of stream) console.log(part.length, (await stream.written).finish);
  const chat = model.chat({ system: "Be brief.", messages });
  const session = await LanguageModel.create({ model, initialPrompts: messages });
  const { regions } = await model.task(image, "open-vocabulary-detection", { text: "a cat", beams: 3 });
  const name: VisionTask = "region-to-ocr";
  const [quads, read] = [await model.task(image, "ocr-with-region"), await model.task(image, name, { box: { x: 1, y: 2, width: 3, height: 4 }, signal })];
  console.log(regions[0]?.box.x, regions[0]?.polygons?.[0]?.[0]?.[1], quads.regions[0]?.quad[3][0], read.text.length, read.score ?? 0);
  console.log(written.tokens.length, written.tokensPerSecond ?? 0, chat.contextUsage, model.info.context, await model.countTokens("a"), await model.caption(image));
  try {
    return (await chat.prompt("Why?")).text + (await model.ask(image, "What?")).text + (await session.prompt("How?"));
  } catch (error) {
    if (error instanceof WritingError && error.code === "context-full") return error.text;
    throw error;
  }
}
`;

/** How a project resolves modules, and what its files are called: CommonJS is .cts. Version 7 knows node10 no more. */
const WAYS = {
  bundler: { options: ["--module", "es2022", "--moduleResolution", "bundler"], files: ["consumer.ts"] },
  node16: { options: ["--module", "node16", "--moduleResolution", "node16"], files: ["consumer.mts", "consumer.cts"] },
  node10: { options: ["--module", "es2022", "--moduleResolution", "node10"], files: ["consumer.ts"] },
};

/** The oldest version that is promised, the last without generic typed arrays, and the package's own; under `--full` the last of 5, too. */
const VERSIONS = {
  5.4: ["bundler", "node16", "node10"],
  5.6: ["bundler"],
  ...(full && { 5.9: ["bundler", "node16", "node10"] }),
  newest: ["bundler", "node16"],
};

export function types({ report, site, root }) {
  const group = report.group("types of the package");
  for (const [version, ways] of Object.entries(VERSIONS)) {
    for (const way of ways)
      group.same(`TypeScript ${version}, ${way}`, complaints({ site, root, version, ...WAYS[way] }, CONSUMER), "");
  }
  const generic = `export declare const x: Uint8Array<ArrayBuffer>;`;
  group.rejects("generic arrays in 5.6", complaints({ site, root, version: "5.6" }, generic), "");
  const missing = 'export * from "ocelli/nothing";';
  group.rejects("an entry that is not there", complaints({ site, root, version: "5.4", ...WAYS.node16 }, missing), "");
  const judge = (source) => complaints({ site, root }, source);
  group.rejects("a program that misuses it", judge(CONSUMER.replace('"softmax"', '"softest"')), "");
  group.rejects("a program that misuses the search", judge(CONSUMER.replace('"int8"', '"int9"')), "");
  group.rejects("a program that draws a file", judge(CONSUMER.replace("ImageBitmap | null", "File")), "");
  group.rejects("a program that misuses writing", judge(CONSUMER.replace('detail: "low"', 'detail: "least"')), "");
  group.rejects(
    "a task without its box",
    judge(CONSUMER.replace("{ box: { x: 1, y: 2, width: 3, height: 4 }, signal }", "{}")),
    "",
  );
  group.rejects("words for what has regions", judge(CONSUMER.replace("quads.regions[0]", "quads.text[0]")), "");
  group.rejects("a total that is taken for known", judge(CONSUMER.replace('total ?? "?"', "loaded / total")), "");
}
