// Full-size models in Chromium: random weights in the published shape, made here. Tells and bounds the memory that the wasm
// instance takes, and compares embeddings with the native program's. Takes minutes and gigabytes.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
    for (const model of models)
      await run({ ...model, browser, page, folder, fixtures, report, native: new Native(program), program });
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
  const model = join(folder, tokenizer);
  writeFileSync(join(folder, `${tokenizer}.json`), JSON.stringify(config));
  execFileSync(program, [
    "synthesize",
    join(folder, `${tokenizer}.json`),
    model,
    "--tokenizer",
    fixtures.model(tokenizer),
  ]);
  const page = await browser.newPage();
  const complaints = listen(page);
  await page.addInitScript(watchMemory);
  await page.goto(address);
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

await main();
