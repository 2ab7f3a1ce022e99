// Published tokenizers give their golden ids in the browser, without a GPU; SigLIP 2's also from the compact file that `ocelli
// quantize` writes. The files are not ours to copy: OCELLI_DATA, or ../shared/data beside the checkout.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { watchMemory } from "../lib/browser.mjs";

const MB = 1 << 20;
/** Wasm memory for a tokenizer that was written to be small: its vocabulary and merges, twice for a moment. */
const MOST_MB = 110;

export async function tokenizers({ browser, server, report, fixtures, site, native, root }) {
  await alone({ browser, server, report, fixtures });
  const data = join(process.env.OCELLI_DATA ?? join(root, "..", "shared", "data"), "tokenizers");
  if (!existsSync(join(data, "golden-ids.json")))
    return report.skip("published tokenizers", `none in ${data}`, { optional: true });
  const golden = JSON.parse(readFileSync(join(data, "golden-ids.json")));
  const texts = golden.map(({ text }) => text);
  /** Of any length in the file; the tower gets so many, with the end kept. */
  const fit = (ids, length, end, pad) => {
    const cut = ids.length > length ? [...ids.slice(0, length - 1), end] : ids;
    return [...cut, ...Array(length - cut.length).fill(pad)];
  };
  const clip = golden.map(({ clip_ids }) => fit(clip_ids, 77, 49407, 49407));
  const siglip = golden.map(({ siglip_ids_64 }) => siglip_ids_64);
  const siglip2 = golden.map(({ siglip2_ids_64 }) => fit(siglip2_ids_64, 64, 1, 0));
  const square = { size: { height: 224, width: 224 } };
  const gemma = { tokenizer_class: "GemmaTokenizer" };
  const folder = (name, config, pixels, tokenizerConfig) => {
    mkdirSync(site.path(name));
    const write = (file, value) => writeFileSync(join(site.path(name), file), JSON.stringify(value));
    write("config.json", config);
    write("preprocessor_config.json", pixels);
    write("tokenizer_config.json", tokenizerConfig);
    symlinkSync(join(data, name, "tokenizer.json"), join(site.path(name), "tokenizer.json"));
    return site.url(`${name}/`);
  };
  const json = (file) => JSON.parse(readFileSync(join(data, file)));
  await check({ browser, server, report }, "CLIP", folder("clip", { model_type: "clip" }, {}, {}), texts, clip);
  await check(
    { browser, server, report },
    "SigLIP",
    folder("siglip", json("siglip/config.json"), square, json("siglip/tokenizer_config.json")),
    texts,
    siglip,
  );
  const large = await check(
    { browser, server, report },
    "SigLIP 2",
    folder("siglip2", { model_type: "siglip", text_config: { vocab_size: 256000 } }, square, gemma),
    texts,
    siglip2,
  );

  // A model that is next to nothing but its token table.
  const tower = { hidden_size: 4, intermediate_size: 4, num_hidden_layers: 1, num_attention_heads: 1 };
  const config = {
    model_type: "siglip",
    text_config: { ...tower, vocab_size: 256000 },
    vision_config: { ...tower, image_size: 16 },
  };
  writeFileSync(site.path("compact.json"), JSON.stringify(config));
  native.write(
    "synthesize",
    site.path("compact.json"),
    site.path("compact-source"),
    "--tokenizer",
    site.path("siglip2"),
  );
  native.write("quantize", site.path("compact-source"), site.path("compact"), "--format", "q8", "--no-goldens");
  const memory = await check({ browser, server, report }, "SigLIP 2, compact", site.url("compact/"), texts, siglip2);
  const group = report.group("SigLIP 2's compact tokenizer");
  const files = JSON.parse(readFileSync(join(site.path("compact"), "manifest.json"))).files;
  group.same(
    "is there instead of the other",
    Object.keys(files).filter((name) => /^tokenizer\.|merges|vocab/.test(name)),
    ["tokenizer.model"],
  );
  group.holds("its size", files["tokenizer.model"].size < 6 * MB, files["tokenizer.model"].size);
  group.holds(`wasm memory: at most ${MOST_MB} MB`, memory <= MOST_MB * MB, `${(memory / MB).toFixed(0)} MB`);
  group.rejects("the JSON's memory", String(large <= MOST_MB * MB), "true");
}

/** The ids of all texts; returns the memory that wasm took. */
async function check({ browser, server, report }, name, folder, texts, expected) {
  const page = await browser.newPage();
  await page.addInitScript(watchMemory);
  await page.goto(server.page);
  const { ids, ms, memory, again } = await page.evaluate(
    async ([folder, texts]) => {
      await web.warm();
      const start = performance.now();
      const tokenizer = await web.tokenizer(folder);
      const ms = performance.now() - start;
      const ids = texts.map((text) => tokenizer.encode(text));
      const again = tokenizer.decode(tokenizer.encode("a photo of a 🐱 in 東京"));
      return { ids: ids.map((ids) => Array.from(ids)), ms, memory: globalThis.wasmBytes(), again };
    },
    [folder, texts],
  );
  await page.close();
  const group = report.group(`published tokenizer: ${name}`);
  texts.forEach((text, i) => group.same(text, ids[i], expected[i]));
  group.rejects("another text's", ids[0], expected[1]);
  group.same("back to a text", again, "a photo of a 🐱 in 東京");
  report.note(
    `published tokenizer: ${name}`,
    `fetched and made in ${ms.toFixed(0)} ms, wasm memory ${(memory / MB).toFixed(0)} MB`,
  );
  return memory;
}

/** The class by itself: on a page without WebGPU, and with nothing of the weights fetched. */
async function alone({ browser, server, report, fixtures }) {
  const group = report.group("a tokenizer by itself");
  const page = await browser.newPage();
  await page.addInitScript(() => delete Navigator.prototype.gpu);
  await page.goto(server.page);
  for (const model of ["clip", "siglip", "siglip2"]) {
    server.sent.length = 0;
    const { texts } = fixtures.golden(model);
    const ids = await page.evaluate(
      ([f, all]) => web.tokenizer(f).then((tokenizer) => all.map((text) => Array.from(tokenizer.encode(text)))),
      [`/fixtures/${model}/`, texts.map(({ text }) => text)],
    );
    texts.forEach((text, i) => group.same(`${model}: ${text.text}`, ids[i], text.ids));
    group.rejects(`${model}: another text's`, ids[0], texts[1].ids);
    group.same(
      `${model}: tensor files`,
      server.sent.filter(({ path }) => path.endsWith(".safetensors")),
      [],
    );
  }
  const code = await page.evaluate(() =>
    web.tokenizer("/fixtures/clip/").then((t) => (t.dispose(), web.attempt(() => t.encode("a")))),
  );
  group.same("after dispose()", code.code, "disposed");
  const missing = await page.evaluate(() => web.attempt(() => web.tokenizer("/fixtures/nothing/")));
  group.same("no such folder", missing.code, "not-found");
  await page.close();
}
