// This package beside an earlier one, in turns on one page: the texts of 1,000 labels through CLIP's text tower, and a picture through
// CLIP B/16. Random weights; prints, asserts nothing.
//   node bench-versions.mjs --before PKG [--backend webgpu|cpu] [--tier T] [--texts N] [--rounds N] [--full]
// PKG is the folder pkg of an earlier commit, built (`./build.sh pkg` there). Needs target/release/ocelli. --full takes CLIP B/32's own
// text tower, 12 blocks of 512, in place of one of 4 blocks of 256.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { skipAll, start } from "./lib/browser.mjs";
import { serve } from "./lib/server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const target = process.env.CARGO_TARGET_DIR || join(root, "target");
const { values } = parseArgs({
  options: {
    before: { type: "string" },
    backend: { type: "string", default: "webgpu" },
    tier: { type: "string", default: "registers" },
    texts: { type: "string", default: "1000" },
    rounds: { type: "string", default: "2" },
    full: { type: "boolean", default: false },
  },
});
if (!values.before) throw new Error("expected --before PKG, the built folder pkg of an earlier commit, found none");

/** The published tokenizer where it is, so that labels have as many tokens as people's; else the fixtures' small one. */
const published = join(process.env.OCELLI_DATA ?? join(root, "..", "shared", "data"), "tokenizers", "clip");
const fixture = join(root, "tests", "fixtures", "clip");
const tokenizer = join(target, "bench", "versions", "tokenizer");
const vocab = existsSync(published) ? 49408 : 660;
rmSync(tokenizer, { recursive: true, force: true });
mkdirSync(tokenizer, { recursive: true });
copyFileSync(join(existsSync(published) ? published : fixture, "tokenizer.json"), join(tokenizer, "tokenizer.json"));
copyFileSync(join(fixture, "tokenizer_config.json"), join(tokenizer, "tokenizer_config.json"));
const small = { hidden_size: 256, intermediate_size: 1024, num_attention_heads: 4, num_hidden_layers: 4 };
const text = { vocab_size: vocab, eos_token_id: vocab - 1, ...(!values.full && small) };

/** A folder with random weights, made once. */
function model(name, config) {
  const folder = join(target, "bench", "versions", `${name}-${vocab}`);
  if (existsSync(join(folder, "config.json"))) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  writeFileSync(`${folder}.json`, JSON.stringify({ model_type: "clip", ...config }));
  const program = join(target, "release", "ocelli");
  execFileSync(program, ["synthesize", `${folder}.json`, folder, "--tokenizer", tokenizer, "--dtype", "f16"]);
  return folder;
}

const models = {
  texts: model(values.full ? "b32" : "small", { text_config: text, vision_config: { ...small, patch_size: 32 } }),
  picture: model("b16", { text_config: { ...text, ...small }, vision_config: { patch_size: 16 } }),
};
const names = JSON.parse(readFileSync(join(root, "data", "imagenet.json"))).classes;
const labels = names.slice(0, Number(values.texts)).map(({ name }) => `a photo of a ${name}`);

const packages = { before: join(resolve(values.before), "dist"), after: join(root, "pkg", "dist") };
const server = await serve({
  "/before/": packages.before,
  "/after/": packages.after,
  "/texts/": models.texts,
  "/picture/": models.picture,
  "/": join(root, "tests", "web", "page"),
});
const browser = await start();
if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}loading.html`);
  for (const what of ["texts", "picture"]) {
    const found = await page.evaluate(measure, {
      what,
      labels,
      rounds: Number(values.rounds),
      options: { backend: values.backend, tier: values.tier, cache: false },
    });
    const [before, after] = [found.before, found.after].map(({ ms }) => Math.min(...ms));
    const each = what === "texts" ? `${labels.length} texts` : "a picture";
    console.log(
      `${values.backend} ${values.tier}: ${each}: before ${before.toFixed(0)} ms, now ${after.toFixed(0)} ms, ` +
        `${((after / before) * 100).toFixed(1)} %; embeddings at most ${found.apart.toExponential(1)} apart ` +
        `(unrelated ones ${found.unrelated.toExponential(1)})`,
    );
  }
} finally {
  await browser.close();
  server.close();
}

/** On the page: both packages in turns, each first once without being timed. */
async function measure({ what, labels, rounds, options }) {
  const canvas = new OffscreenCanvas(224, 224);
  const context = canvas.getContext("2d");
  for (let y = 0; y < 224; y += 8) {
    for (let x = 0; x < 224; x += 8) {
      context.fillStyle = `rgb(${(x * 7) % 256} ${(y * 5) % 256} ${(x * y) % 256})`;
      context.fillRect(x, y, 8, 8);
    }
  }
  const picture = context.getImageData(0, 0, 224, 224);
  const models = {};
  for (const version of ["before", "after"]) {
    const { Ocelli } = await import(`/${version}/index.js`);
    localStorage.clear();
    const towers = what === "texts" ? "text" : "vision";
    models[version] = await Ocelli.load(`/${what}/`, { ...options, towers });
  }
  const run = (model) => (what === "texts" ? model.embedTexts(labels) : model.embedImages([picture]));
  const found = { before: { ms: [] }, after: { ms: [] } };
  for (const version of ["before", "after"]) {
    const model = models[version];
    if (what === "texts") await model.embedTexts(labels.slice(0, 8));
    else await run(model);
  }
  for (let round = 0; round < rounds; round++) {
    for (const version of ["before", "after"]) {
      const start = performance.now();
      found[version].embeddings = await run(models[version]);
      found[version].ms.push(performance.now() - start);
    }
  }
  const distance = (a, b) => Math.hypot(...a.map((x, i) => x - b[i]));
  const [before, after] = [found.before.embeddings, found.after.embeddings];
  const apart = Math.max(...before.map((embedding, i) => distance(embedding, after[i])));
  const others = before.length > 1 ? before.slice(1).map((embedding) => distance(embedding, before[0])) : [NaN];
  const unrelated = others.reduce((sum, x) => sum + x, 0) / others.length;
  for (const model of Object.values(models)) model.dispose();
  return { apart, unrelated, before: { ms: found.before.ms }, after: { ms: found.after.ms } };
}
