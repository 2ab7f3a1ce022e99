// How the package behaves around its numbers: import, types, progress, many calls at once.
import { execFileSync } from "node:child_process";
import { different, largest } from "../lib/report.mjs";
import { lossless } from "../lib/fixtures.mjs";
import { complaints } from "../lib/types.mjs";

export async function use({ page, report, fixtures, site, files, root }) {
  contents({ report, files });
  inNode({ report, site });
  types({ report, site, root });
  await progress({ page, report });
  await together({ page, report, fixtures });
}

function contents({ report, files }) {
  const group = report.group("files in the tarball");
  const needed = [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/labels/templates.js",
    "dist/labels/templates.d.ts",
    "package.json",
    "dist/worker.js",
    "dist/ocelli_bg.wasm",
    "dist/ocelli_cpu_bg.wasm",
    "dist/ocelli_tokenizer_bg.wasm",
  ];
  const missing = (list) => needed.filter((name) => !list.includes(name));
  group.same("what is needed", missing(files), []);
  group.same(
    "what is not",
    files.filter((name) => /^src|node_modules|\.ts$/.test(name) && !name.endsWith(".d.ts")),
    [],
  );
  group.rejects("a tarball without wasm", missing(files.filter((name) => !name.endsWith(".wasm"))), []);
}

/** Server-side rendering: importing does nothing, loading says what is missing. */
function inNode({ report, site }) {
  const group = report.group("imported by plain Node");
  const script = (last) => `
    const before = Object.keys(globalThis).length;
    const { Ocelli, OcelliError } = await import("ocelli");
    const added = Object.keys(globalThis).length - before;
    const code = await Ocelli.load("https://example.invalid/", { backend: "webgpu" }).catch((e) => e instanceof OcelliError ? e.code : String(e));
    console.log(JSON.stringify({ added, code })); ${last}`;
  const run = (last = "") =>
    execFileSync(process.execPath, ["--input-type=module", "-e", script(last)], {
      cwd: site.folder,
      encoding: "utf8",
      stdio: "pipe",
    });
  const expected = '{"added":0,"code":"no-webgpu"}\n';
  group.same("output", run(), expected);
  group.rejects("a module that talks", run("console.log('hello')"), expected);
}

const CONSUMER = `import { Ocelli, OcelliError, type Classification, type ImageInput, type LabelSet } from "ocelli";
import { ImageIndex, type Hit } from "ocelli/index";
import { best7 } from "ocelli/templates";
export async function ask(image: ImageInput, signal: AbortSignal): Promise<Classification | undefined> {
  const model = await Ocelli.load("/models/", { onProgress: ({ loaded, total }) => console.log(loaded / total), signal, towers: "both" });
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
export async function find(model: Ocelli, image: ImageInput): Promise<Hit<number>[]> {
  const index = await ImageIndex.create<number>({ model, format: "int8" });
  await index.add([{ id: "a", meta: 1 }], [image]);
  return index.search("a cat", { k: 1, filter: ({ meta }) => meta === 1, minScore: 0.1 });
}
`;

/** The shipped types, as a strict TypeScript project meets them. */
function types({ report, site, root }) {
  const group = report.group("types of the package");
  const judge = (source) => complaints({ site, root }, source);
  group.same("a program that uses it", judge(CONSUMER), "");
  group.rejects("a program that misuses it", judge(CONSUMER.replace('"softmax"', '"softest"')), "");
  group.rejects("a program that misuses the search", judge(CONSUMER.replace('"int8"', '"int9"')), "");
}

/** Problems of a list of steps: order, growth, and the end. */
function faults(steps) {
  const found = [];
  const last = steps.at(-1);
  if (!last || last.loaded !== last.total || last.total <= 0) found.push(`ends at ${last?.loaded} of ${last?.total}`);
  if (steps.some((step, i) => i > 0 && step.loaded < steps[i - 1].loaded)) found.push("goes back");
  if (steps.some((step) => step.total > 0 && step.loaded > step.total)) found.push("exceeds its total");
  if (steps.some((step, i) => i > 0 && steps[i - 1].total > 0 && step.total === 0)) found.push("forgets its total");
  return found;
}

async function progress({ page, report }) {
  const group = report.group("progress");
  for (const folder of ["/fixtures/clip/", "/gzip/fixtures/clip/", "/fixtures/siglip-bf16"]) {
    const { progress, info } = await page.evaluate((f) => web.load("progress", f), folder);
    group.same(folder, faults(progress), []);
    group.holds(`${folder}: info.downloadBytes`, info.downloadBytes === progress.at(-1).loaded, info.downloadBytes);
    group.rejects(`${folder}: reversed`, faults([...progress].reverse()), []);
    group.rejects(`${folder}: cut`, faults(progress.slice(0, 1)), []);
  }
  await page.evaluate(() => web.dispose("progress"));
}

/** Calls that overlap give what they give one by one. */
async function together({ page, report, fixtures }) {
  const group = report.group("twelve pictures at once", largest, 1e-6);
  for (const model of ["clip", "siglip"]) {
    await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
    const names = Object.keys(fixtures.golden(model).images).slice(0, 12);
    const pictures = names.map((name) => ({ url: `/fixtures/images/${name}` }));
    const single = [];
    for (const picture of pictures)
      single.push(await page.evaluate(([m, p]) => web.embedImage(m, p), [model, picture]));
    const found = await page.evaluate(([m, p]) => web.embedImages(m, p), [model, pictures]);
    names.forEach((name, i) => group.same(`${model}: ${name}`, found[i], single[i]));
    group.rejects(`${model}: another picture's`, found[0], single[1]);
    group.holds("twelve pictures", names.length === 12, names.length);
  }
}
