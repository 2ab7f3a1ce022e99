// Full-size models in Chromium: random weights in the published shape, made here. Tells and bounds the memory that the wasm instance
// takes, tells how long answers take, and compares them with the native program's. Takes minutes and gigabytes.
//   node full.mjs [NAME [PLACE]]    only the models with NAME in their names; of those that write, in PLACE alone: webgpu or cpu
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adapterName, findChromium, listen, skipAll, start, watchMemory } from "./lib/browser.mjs";
import { Fixtures } from "./lib/fixtures.mjs";
import { install } from "./lib/install.mjs";
import { Native } from "./lib/native.mjs";
import { largest, Report } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const target = process.env.CARGO_TARGET_DIR || join(root, "target");
const PICTURE = "rgb-61x37.png";
const TEXT = "a photo of a cat";
const MB = 1 << 20;

/** What wasm may take beside the token table as it is kept. */
const MOST_MB = 128;
/** Bytes of a row of the table in q8: a byte a weight and a half-precision scale for 16 of them. */
const rowQ8 = (width) => width + width / 8;

const models = [
  {
    name: "SigLIP 2 B/16-224, f32, 1.5 GB",
    config: { model_type: "siglip", text_config: { vocab_size: 256000 }, vision_config: {} },
    tokenizer: "siglip2",
    table: 256000 * rowQ8(768),
  },
  {
    name: "SigLIP B/16-224, f32, 0.8 GB",
    config: { model_type: "siglip", text_config: {}, vision_config: {} },
    tokenizer: "siglip",
    table: 32000 * rowQ8(768),
  },
];

const LABELS = ["a cat", "two dogs in the snow", "a cup"];
/** `share`: what a further question costs at most, as a share of looking at the picture. */
const finders = [
  {
    name: "OWLv2 B/16 at 960, f32, 0.6 GB",
    kind: "detect",
    fixture: "owlv2",
    config: { model_type: "owlv2", text_config: {}, vision_config: { image_size: 960 } },
    share: 0.03,
  },
  {
    name: "CLIPSeg rd64-refined at 352, f32, 0.6 GB",
    kind: "segment",
    fixture: "clipseg-refined",
    config: {
      model_type: "clipseg",
      use_complex_transposed_convolution: true,
      text_config: {},
      vision_config: { patch_size: 16 },
    },
    share: 0.05,
  },
];

/** A prompt about a picture, and another. */
const SMOLVLM = {
  tokenizer: "decoders/smolvlm",
  prompts: ["is this", "is that"].map((what) => `<|im_start|>User:<image>What ${what}?<end_of_utterance>\nAssistant:`),
};
const FLORENCE = {
  tokenizer: "florence",
  prompts: ["What does the image describe?", "Locate the objects in the image."],
};
/**
 * `positions`: tokens of the texts after which a token's time is told; the software adapter reads the long ones in minutes. `beams`: texts
 * that a search has side by side; without it there is none.
 */
const writers = [
  {
    name: "SmolVLM-256M, f16, 0.5 GB",
    shape: "smolvlm-256m",
    ...SMOLVLM,
    positions: { webgpu: [100, 1000], cpu: [100, 500, 2000, 4000] },
  },
  {
    name: "SmolVLM-500M, f16, 1 GB",
    shape: "smolvlm-500m",
    ...SMOLVLM,
    positions: { webgpu: [100], cpu: [100, 500, 2000] },
  },
  {
    name: "Florence-2-base, f16, 0.5 GB",
    shape: "florence-2-base",
    ...FLORENCE,
    positions: { webgpu: [], cpu: [] },
    beams: 3,
  },
];
/** Tokens of an answer. */
const TOKENS = 8;

async function main() {
  const folder = mkdtempSync(join(target, "full-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const browser = await start();
  if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
  const fixtures = new Fixtures(join(root, "tests", "fixtures"));
  const site = join(folder, "site");
  mkdirSync(site);
  install(join(root, "pkg"), site);
  const mounts = {
    "/site/": site,
    "/page/": join(root, "tests", "web", "page"),
    "/fixtures/": fixtures.folder,
    "/full/": folder,
  };
  const server = await serve(mounts);
  const page = `${server.url}page/index.html`;
  const report = new Report();
  try {
    if (!(await adapterName(browser, page))) skipAll(`${findChromium()} gives no WebGPU adapter`);
    const program = join(target, "release", "ocelli");
    const common = { browser, page, folder, fixtures, report, native: new Native(program), program };
    const wanted = ({ name }) => name.toLowerCase().includes((process.argv[2] ?? "").toLowerCase());
    for (const model of models.filter(wanted)) await run({ ...common, ...model });
    for (const model of finders.filter(wanted)) await find({ ...common, ...model });
    for (const model of writers.filter(wanted)) await write({ ...common, ...model });
  } finally {
    await browser.close();
    server.close();
  }
  console.log(report.verdict());
  process.exitCode = report.failed ? 1 : 0;
}

async function run({
  name,
  config,
  tokenizer,
  table,
  browser,
  page: address,
  folder,
  fixtures,
  report,
  native,
  program,
}) {
  const group = report.group(name, largest, 1e-4);
  const model = synthesize({ program, folder, name: tokenizer, tokenizer: fixtures.model(tokenizer), config });
  const { page, complaints } = await opened(browser, address);
  const start = performance.now();
  const found = await page.evaluate(
    async ([folder, picture, text]) => {
      const { info } = await web.load("full", folder, { format: "q8" });
      const loaded = performance.now();
      const image = await web.embedImage("full", { url: picture });
      const words = await web.embedText("full", text);
      return { info, image, words, seconds: (performance.now() - loaded) / 1000, memory: globalThis.wasmBytes() };
    },
    [`/full/${tokenizer}/`, `/fixtures/images/${PICTURE}`, TEXT],
  );
  const seconds = (performance.now() - start) / 1000;
  const beside = (found.memory - table) / MB;
  console.log(
    `${name}: loaded as q8 in ${(seconds - found.seconds).toFixed(0)} s, a picture and a text in ${found.seconds.toFixed(0)} s; ` +
      `wasm memory ${(found.memory / MB).toFixed(0)} MB at its peak, of which the token table ${(table / MB).toFixed(0)} MB; GPU ${(found.info.gpuBytes / MB).toFixed(0)} MB`,
  );
  group.holds(
    `wasm memory beside the table: at most ${MOST_MB} MB`,
    beside > 0 && beside <= MOST_MB,
    `${beside.toFixed(0)} MB`,
  );
  group.same("picture, as natively", found.image, native.embedImages(model, [fixtures.image(PICTURE)], "q8")[0]);
  group.same("text, as natively", found.words, native.embedTexts(model, [TEXT], "q8")[0]);
  group.rejects("the text for the picture", found.words, found.image);
  group.holds("no complaints", complaints.length === 0, complaints.join("; "));
  await page.close();
  rmSync(model, { recursive: true });
}

/** A page whose memory is watched, and what it complains of. */
async function opened(browser, address) {
  const page = await browser.newPage();
  const complaints = listen(page);
  await page.addInitScript(watchMemory);
  await page.goto(address);
  return { page, complaints };
}

/** A folder of random weights, with another's tokenizer, under its name. */
function synthesize({ program, folder, name, tokenizer, config }) {
  const [from, to] = [join(folder, `${name}.json`), join(folder, name)];
  writeFileSync(from, JSON.stringify(config));
  execFileSync(program, ["synthesize", from, to, "--tokenizer", tokenizer]);
  return to;
}

/** Answers about a picture, and after texts of several lengths, in q8 on both engines: the tokens that the program writes. */
async function write({
  name,
  shape,
  tokenizer: from,
  prompts: [question, other],
  positions,
  beams,
  browser,
  page: address,
  folder,
  fixtures,
  report,
  native,
  program,
}) {
  const config = JSON.parse(readFileSync(join(root, "tests", "shapes", `${shape}.json`)));
  const tokenizer = join(fixtures.folder, ...from.split("/"));
  const model = synthesize({ program, folder, name: shape, tokenizer, config });
  // It is asked for, and what is not there is a complaint on the console.
  writeFileSync(join(model, "generation_config.json"), "{}");
  const shown = ["--image", fixtures.image(PICTURE), "--detail", "low"];
  const generated = (raw, ...more) => {
    const how = ["--format", "q8", "--max-tokens", TOKENS, ...more];
    return native.run("--backend", "cpu", "generate", "--model", model, ...how, "--raw", raw);
  };
  const theirs = (raw, ...more) => generated(raw, "--ignore-eos", ...more);
  const texts = new Map([...positions.webgpu, ...positions.cpu].map((count) => [count, textOf(count, theirs)]));
  const single = beams ? ["--beams", 1] : [];
  const [right, wrong] = [question, other].map((prompt) => theirs(prompt, ...shown, ...single));
  // A search ends its text, and a text's tokens are without the one that ends it.
  const searched = beams && generated(question, ...shown, "--beams", beams);
  for (const backend of ["webgpu", "cpu"].filter((place) => place.includes(process.argv[3] ?? ""))) {
    const group = report.group(`${name}, ${backend}`);
    const { page, complaints } = await opened(browser, address);
    const start = performance.now();
    const info = await page.evaluate((a) => web.loadVlm(...a), ["full", `/full/${shape}/`, { backend, format: "q8" }]);
    const told = [`loaded as q8 in ${((performance.now() - start) / 1000).toFixed(0)} s`];
    const asked = async (what, prompt, more = {}) => {
      const options = { maxTokens: TOKENS, detail: "low", ...more };
      const found = await page.evaluate((a) => web.write(...a), ["full", prompt, options]);
      if (found.tokens === undefined) throw new Error(`${name}, ${backend}: ${found.message}`);
      const [first, each] = [found.firstTokenMs, 1000 / found.tokensPerSecond].map((ms) => Math.round(ms));
      told.push(
        `${what} (${found.promptTokens} tokens): ${first.toLocaleString("en")} ms to the first, ${each} ms each after`,
      );
      return found.tokens;
    };
    const about = { raw: question, image: { url: `/fixtures/images/${PICTURE}` } };
    const ours = await asked("a picture", about, beams && { beams: 1 });
    group.same("a picture: tokens, as natively", ours, right.tokens);
    group.rejects("another question", ours, wrong.tokens);
    if (beams) {
      const begun = performance.now();
      const found = await page.evaluate((a) => web.write(...a), ["full", about, { maxTokens: TOKENS, beams }]);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      told.push(`with ${beams} beams, of a picture that is known: ${seconds} s for ${found.tokens.length} tokens`);
      group.same(`${beams} beams, as natively`, found.tokens, searched.tokens);
    }
    for (const count of positions[backend]) {
      const { text, tokens } = texts.get(count);
      group.same(`${count} tokens of text, as natively`, await asked("a text", { raw: text }), tokens);
    }
    const memory = (await page.evaluate(() => globalThis.wasmBytes())) / MB;
    told.push(`wasm memory ${memory.toFixed(0)} MB at its peak, on the device ${(info.gpuBytes / MB).toFixed(0)} MB`);
    console.log(`${name}, ${backend}: ${told.join("; ")}`);
    if (backend === "webgpu") group.holds(`wasm memory: at most ${MOST_MB} MB`, memory <= MOST_MB, `${memory} MB`);
    group.holds("no complaints", complaints.length === 0, complaints.join("; "));
    await page.close();
  }
  rmSync(model, { recursive: true });
}

/** A text of about so many tokens, and what the program writes after it. */
function textOf(count, write) {
  const line = "a small red boat near an old stone bridge, ";
  const each = write(line.repeat(2)).prompt_tokens - write(line).prompt_tokens;
  const text = line.repeat(Math.round(count / each));
  return { ...write(text), text };
}

/** A look, a question, and a further one, on both engines; answers as natively. */
async function find({
  name,
  kind,
  fixture,
  config,
  share,
  browser,
  page: address,
  folder,
  fixtures,
  report,
  native,
  program,
}) {
  const model = synthesize({ program, folder, name: fixture, tokenizer: fixtures.model(fixture), config });
  const image = fixtures.image(PICTURE);
  const asked = ["--backend", "cpu", "--model", model, "--labels", LABELS.join(), image];
  const theirs =
    kind === "detect"
      ? native.run("detect", "--threshold", "0", "--no-clip", ...asked)[0].detections.map(rowOf)
      : native.run("segment", ...asked)[0].masks.map(({ area }) => area);
  // Random weights hear little of the words, so masks are told apart by a threshold.
  const wrong =
    kind === "detect"
      ? [...theirs.slice(-1), ...theirs.slice(0, -1)].map((row, at) => [theirs[at][0], ...row.slice(1)])
      : native.run("segment", "--threshold", "0.5", ...asked)[0].masks.map(({ area }) => area);
  for (const backend of ["webgpu", "cpu"]) {
    const group = report.group(`${name}, ${backend}`, largest, kind === "detect" ? 1e-3 : 4);
    const { page, complaints } = await opened(browser, address);
    const found = await page.evaluate(asking, [
      kind,
      `/full/${fixture}/`,
      backend,
      `/fixtures/images/${PICTURE}`,
      LABELS,
    ]);
    const ours = kind === "detect" ? found.answer.map(rowOf) : found.answer;
    const order = (rows) => (kind === "detect" ? rows.toSorted((a, b) => a[0] - b[0]) : rows).flat();
    const times = Object.entries(found.times).map(
      ([what, time]) => `${what} ${Math.round(time).toLocaleString("en")} ms`,
    );
    const { again, look } = found.times;
    console.log(
      `${name}, ${backend}: ${times.join(", ")}; a further question costs ${((100 * again) / look).toFixed(2)} % of a look; ` +
        `wasm memory ${(found.memory / MB).toFixed(0)} MB at its peak, on the device ${(found.info.gpuBytes / MB).toFixed(0)} MB`,
    );
    group.holds("many", theirs.length >= LABELS.length, theirs.length);
    group.same("as natively", order(ours), order(theirs));
    group.rejects("others", order(ours), order(wrong));
    group.holds(`a further question: at most ${100 * share} %`, again <= share * look, `${again} ms, ${look} ms`);
    group.holds("no complaints", complaints.length === 0, complaints.join("; "));
    await page.close();
  }
  rmSync(model, { recursive: true });
}

/** Token, and what it has found. */
const rowOf = ({ token, index, score, box }) => [token, index, score, box.x, box.y, box.width, box.height];

/** In the page. */
async function asking([kind, folder, backend, url, labels]) {
  const times = {};
  const timed = async (what, work) => {
    const start = performance.now();
    const result = await work();
    times[what] = performance.now() - start;
    return result;
  };
  const info = await timed("load", () => web.loadFinder("full", kind, folder, { backend }));
  await timed("look", () => web.look("full", "seen", { url }));
  const options = { threshold: 0, clip: false };
  const ask =
    kind === "detect" ? () => web.detectIn("seen", "words", options) : (some = labels) => web.areasIn("seen", some, {});
  if (kind === "detect") await timed("words", () => web.queries("full", "words", labels));
  const answer = await timed("question", () => ask());
  await timed("again", () => ask());
  if (kind === "segment") {
    // What one more prompt costs, of words that are known.
    const { again } = times;
    await timed("one prompt", () => ask(labels.slice(0, 1)));
    times.again = (again - times["one prompt"]) / (labels.length - 1);
  }
  return { info, times, answer, memory: globalThis.wasmBytes() };
}

await main();
