// Whatever goes wrong has its code, says what to do, and leaves the model as it was.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listen } from "../lib/browser.mjs";
import { encoded } from "./numbers.mjs";

const MODEL = "siglip";
const PICTURE = "/fixtures/images/rgb-61x37.png";
const LABELS = ["a cat", "a dog"];

/** What browsers themselves write on their consoles when a request fails or a picture of another site is refused. */
const PROVOKED =
  /Failed to load resource|blocked by CORS policy|Cross-Origin Request Blocked|request failed: .* net::ERR_(FAILED|UNSAFE_PORT|CONNECTION_REFUSED)|CopyExternalImageToTexture\(\): Browser fails extracting/;

export async function errors(test) {
  const page = await test.browser.newPage();
  const complaints = listen(page);
  await page.goto(test.server.page);
  await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), MODEL);
  const before = await page.evaluate(([m, u]) => web.embedImage(m, { url: u }), [MODEL, PICTURE]);
  const here = { ...test, page, before };
  await loading(here);
  await pictures(here);
  await inputs(here);
  await disposal(here);
  const group = test.report.group("console of the page with the errors");
  group.same(
    "beside what was provoked",
    complaints.filter((line) => !PROVOKED.test(line)),
    [],
  );
  group.rejects(
    "an uncaught error",
    ["uncaught: x"].filter((line) => !PROVOKED.test(line)),
    [],
  );
  await page.close();
  await withoutGpu(test);
}

/** The call must fail with this code and a sentence; then the model answers as before. */
async function expectCode({ page, group, before }, name, code, call, ...args) {
  const outcome = await page.evaluate(([call, args]) => web.attempt(() => web[call](...args)), [call, args]);
  group.same(name, outcome.code ?? "no error", code);
  group.holds(`${name}: a sentence`, /^.{15,}\.?$/s.test(outcome.message ?? ""), outcome.message);
  if (!before) return;
  const after = await page.evaluate(([m, u]) => web.attempt(() => web.embedImage(m, { url: u })), [MODEL, PICTURE]);
  group.holds(
    `${name}: the next call gives the same numbers`,
    JSON.stringify(after.value) === JSON.stringify(before),
    after.code,
  );
}

async function loading({ page, report, fixtures, site, other, before }) {
  const group = report.group("errors while loading");
  const fail = (name, code, folder, options) =>
    expectCode({ page, group, before }, name, code, "load", "new", folder, options);
  await fail("no such folder", "not-found", "/fixtures/nothing/");
  await fail("a page instead of files", "not-found", "/app/fixtures/clip/");
  await fail("no such server", "not-found", "http://127.0.0.1:1/");
  await fail("a server without CORS", "not-found", `${other.url}fixtures/clip/`);
  await fail("half of model.safetensors", "bad-checkpoint", "/cut/fixtures/clip/");
  await fail("half of it, for one tower", "bad-checkpoint", "/cut/fixtures/clip/", { towers: "text" });
  await fail("a byte too many in model.safetensors", "bad-checkpoint", "/long/fixtures/clip/");
  await fail(
    "a page for model.safetensors, without its type",
    "bad-checkpoint",
    damaged(site, fixtures, "model.safetensors", () => "<!doctype html>"),
  );
  await fail(
    "config.json is not JSON",
    "bad-checkpoint",
    damaged(site, fixtures, "config.json", () => "{"),
  );
  // Tokenizers are fetched for the first text.
  const folder = damaged(site, fixtures, "tokenizer.json", () => "{}");
  await page.evaluate((f) => web.load("new", f), folder);
  await expectCode({ page, group, before }, "tokenizer.json is not one", "bad-checkpoint", "embedText", "new", "a cat");
  await fail("a tensor is missing", "bad-checkpoint", damaged(site, fixtures, "model.safetensors", renamed));
  await fail(
    "another kind of model",
    "wrong-model",
    damaged(site, fixtures, "config.json", (json) => JSON.stringify({ ...JSON.parse(json), model_type: "bert" })),
  );
  await fail("format q5", "bad-input", "/fixtures/clip/", { format: "q5" });
  await fail("towers none", "bad-input", "/fixtures/clip/", { towers: "none" });
  for (const when of ["before", "first", "complete"]) {
    await expectCode({ page, group, before }, `aborted: ${when}`, "aborted", "loadAborted", "/fixtures/clip/", when);
  }
  const sound = await page.evaluate(() => web.attempt(() => web.load("new", "/fixtures/clip/")));
  group.holds("a sound folder loads afterwards", sound.value?.info.family === "clip", sound.message);
  group.rejects("a sound folder has no code", sound.code ?? "no error", "not-found");
}

/** A copy of a fixture with one file changed; returns its address. */
function damaged(site, fixtures, file, change) {
  const name = `damaged-${(damaged.count = (damaged.count ?? 0) + 1)}`;
  cpSync(fixtures.model("clip"), site.path(name), { recursive: true });
  const path = join(site.path(name), file);
  writeFileSync(path, change(readFileSync(path, "latin1")), "latin1");
  return site.url(`${name}/`);
}

/** One tensor under another name of the same length. */
const renamed = (file) => file.replace("text_projection.weight", "text_projection.weighs");

async function pictures({ page, report, fixtures, other, before }) {
  const group = report.group("pictures that cannot be read");
  const pixels = encoded(fixtures.exact("rgb-61x37.png"));
  const elsewhere = `${other.url}fixtures/images/rgb-61x37.png`;
  const bad = [
    ["broken Blob", PICTURE],
    ["text Blob", PICTURE],
    ["closed ImageBitmap", PICTURE],
    ["emptied ImageData", PICTURE],
    ["endless ImageData", PICTURE],
    ["lying ImageData", PICTURE],
    ["hollow ImageData", PICTURE],
    ["closed VideoFrame", PICTURE],
    ["broken HTMLImageElement", PICTURE],
    ["empty HTMLCanvasElement", PICTURE],
    ["another site's HTMLImageElement", elsewhere],
    ["another site's HTMLCanvasElement", elsewhere],
    ["another site's ImageBitmap", elsewhere],
  ];
  for (const [form, url] of bad) {
    for (const method of ["embedImage", "preprocess"]) {
      await expectCode({ page, group, before }, `${method}, ${form}`, "bad-image", method, MODEL, {
        form,
        url,
        pixels,
      });
    }
    await expectCode(
      { page, group, before },
      `classify, ${form}`,
      "bad-image",
      "classify",
      MODEL,
      { form, url, pixels },
      LABELS,
    );
  }
  const fine = await page.evaluate(([m, u]) => web.attempt(() => web.embedImage(m, { url: u })), [MODEL, PICTURE]);
  group.rejects("a sound picture has no code", fine.code ?? "no error", "bad-image");
}

async function inputs({ page, report, before }) {
  const group = report.group("arguments that make no sense");
  const classify = (name, labels, options, form = "Blob") =>
    expectCode({ page, group, before }, name, "bad-input", "classify", MODEL, { url: PICTURE, form }, labels, options);
  await classify("no labels", []);
  await classify("labels that are no array", "a cat");
  await classify("a label that is a number", ["a cat", 7]);
  await classify("a template without {}", LABELS, { template: "a photo" });
  await classify("topK 0", LABELS, { topK: 0 });
  await classify("topK NaN", LABELS, { topK: "many" });
  await classify("an unknown score", LABELS, { score: "best" });
  await classify("a string for a picture", LABELS, {}, "a string");
  await classify("nothing for a picture", LABELS, {}, "nothing");
  await expectCode({ page, group, before }, "a number for a text", "bad-input", "embedText", MODEL, 7);
  await expectCode({ page, group, before }, "a number to tokenize", "bad-input", "tokenize", MODEL, 7);
  const fine = await page.evaluate(
    ([m, u, l]) => web.attempt(() => web.classify(m, { url: u }, l, { topK: 1 })),
    [MODEL, PICTURE, LABELS],
  );
  group.holds("topK 1 gives one", fine.value?.length === 1);
  group.rejects("a sound call has no code", fine.code ?? "no error", "bad-input");
}

async function disposal({ page, report, before }) {
  const group = report.group("after dispose()");
  await page.evaluate(() => web.load("old", "/fixtures/clip/"));
  const late = await page.evaluate((u) => web.disposeDuring("old", u), PICTURE);
  group.holds("a call under way still answers", late.value?.length > 0, late.code);
  for (const [call, ...args] of [
    ["embedImage", "old", { url: PICTURE }],
    ["embedText", "old", "a cat"],
    ["tokenize", "old", "a cat"],
    ["preprocess", "old", { url: PICTURE }],
    ["classify", "old", { url: PICTURE }, LABELS],
  ]) {
    await expectCode({ page, group, before }, call, "disposed", call, ...args);
  }
  await page.evaluate(() => web.dispose("old"));
  group.rejects("an answer has no code", late.code ?? "no error", "disposed");
}

/** Pages that have no WebGPU, no adapter, no wasm, or no secure address. */
async function withoutGpu({ browser, report, server }) {
  const group = report.group("pages without what is needed");
  const load = async (name, code, { init, address = server.page, options = {} }) => {
    const page = await browser.newPage();
    if (init) await page.addInitScript(init);
    await page.goto(address);
    await expectCode({ page, group }, name, code, "load", "x", "/fixtures/clip/", options);
    return page;
  };
  await (await load("no navigator.gpu", "no-webgpu", { init: () => delete Navigator.prototype.gpu })).close();
  await (
    await load("no adapter", "no-webgpu", { init: () => (GPU.prototype.requestAdapter = async () => null) })
  ).close();
  await (
    await load("no device", "no-webgpu", {
      init: () => (GPUAdapter.prototype.requestDevice = () => Promise.reject(new Error("no"))),
    })
  ).close();
  await (
    await load("an insecure page", "insecure-context", { address: server.page.replace("127.0.0.1", "insecure.test") })
  ).close();
  const page = await load("no wasm", "not-found", { options: { wasmUrl: "/fixtures/nothing.wasm" } });
  const wasmUrl = "/site/node_modules/ocelli/dist/ocelli_bg.wasm";
  const sound = await page.evaluate(
    (wasmUrl) => web.attempt(() => web.load("x", "/fixtures/clip/", { wasmUrl })),
    wasmUrl,
  );
  group.holds("the right wasmUrl works afterwards", sound.value?.info.family === "clip", sound.message);
  group.rejects("a sound page has no code", sound.code ?? "no error", "no-webgpu");
  await page.close();
}
