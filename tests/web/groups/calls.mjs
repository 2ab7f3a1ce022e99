// Calls that make no sense, that are stopped, or that overflow; and a model that is let go.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encoded } from "./numbers.mjs";

const MODEL = "siglip";
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function calls(test) {
  const page = await test.browser.newPage();
  await page.goto(test.server.page);
  const load = (name, folder) => page.evaluate(([n, f]) => web.load(n, f), [name, folder]);
  await load(MODEL, `/fixtures/${MODEL}/`);
  await refused({ ...test, page });
  await stopped({ ...test, page });
  await overflowing({ ...test, page, load });
  const group = test.report.group("a model that was used");
  group.same("using", (await page.evaluate((f) => web.used(f), "/fixtures/clip/")).code, "disposed");
  group.rejects(
    "one that still is",
    (await page.evaluate(() => web.attempt(() => web.embedText("siglip", "a cat")))).code ?? "no error",
    "disposed",
  );
  await page.close();
}

/** Nothing is computed, nor any buffer made, for what is refused. */
async function refused({ page, report, fixtures, other }) {
  const group = report.group("refused before any work of the GPU");
  const pixels = encoded(fixtures.exact("rgb-61x37.png"));
  const ask = async (call, ...args) => {
    const { code = "no error", seen } = await page.evaluate(([c, a]) => web.watched(c, ...a), [call, args]);
    return `${code}, ${seen.dispatches} dispatches, ${seen.buffers} buffers`;
  };
  const nothing = (code) => `${code}, 0 dispatches, 0 buffers`;
  const elsewhere = `${other.url}fixtures/images/rgb-61x37.png`;
  for (const form of [
    "emptied ImageData",
    "endless ImageData",
    "closed ImageBitmap",
    "broken Blob",
    "empty HTMLCanvasElement",
  ]) {
    group.same(form, await ask("embedImage", MODEL, { ...PICTURE, form, pixels }), nothing("bad-image"));
  }
  // Whether pixels may be read, a browser says when they are.
  const tainted = await ask("embedImage", MODEL, { url: elsewhere, form: "another site's HTMLCanvasElement" });
  group.same("another site's HTMLCanvasElement", tainted.replace(/ \d+ buffers/, " 0 buffers"), nothing("bad-image"));
  for (const form of ["a string", "nothing"])
    group.same(form, await ask("embedImage", MODEL, { ...PICTURE, form }), nothing("bad-input"));
  for (const text of [7, null, ["a cat"]])
    group.same(`${JSON.stringify(text)} for a text`, await ask("embedText", MODEL, text), nothing("bad-input"));
  group.rejects("a sound picture", await ask("embedImage", MODEL, PICTURE), nothing("bad-image"));
}

/** A signal ends a call at once, and the next one gives the right numbers. */
async function stopped({ page, report }) {
  const group = report.group("calls that are stopped");
  const embed = async () => JSON.stringify(await page.evaluate(([m, p]) => web.embedImage(m, p), [MODEL, PICTURE]));
  const right = await embed();
  const given = {
    embedImage: PICTURE,
    classify: PICTURE,
    embedText: "two dogs",
    embedTexts: ["a cat", "a dog"],
    labels: ["a cat that is new"],
  };
  for (const [method, first] of Object.entries(given)) {
    const ask = async (when) =>
      (await page.evaluate((args) => web.stopped(...args), [MODEL, method, first, when])).code ?? "no error";
    for (const when of ["before", "during"]) {
      group.same(`${method}, ${when}`, await ask(when), "aborted");
      group.same(`${method}, ${when}: the next call`, await embed(), right);
    }
    group.rejects(`${method}, not stopped`, await ask("never"), "aborted");
  }
}

/** Weights that are finite and too large: an error, and no scores of NaN. */
async function overflowing({ page, report, fixtures, site, load }) {
  const group = report.group("numbers that are not finite");
  cpSync(fixtures.model("clip"), site.path("overflow"), { recursive: true });
  const path = join(site.path("overflow"), "model.safetensors");
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const {
    data_offsets: [from, to],
    dtype,
  } = JSON.parse(file.subarray(8, start))["vision_model.post_layernorm.weight"];
  if (dtype !== "F32") throw new Error(`${path}: expected F32, found ${dtype}`);
  for (let at = start + from; at < start + to; at += 4) file.writeFloatLE(3e38, at);
  writeFileSync(path, file);
  await load("overflow", site.url("overflow/"));
  const code = async (call, ...args) =>
    (await page.evaluate(([c, a]) => web.attempt(() => web[c](...a)), [call, ["overflow", ...args]])).code ??
    "no error";
  for (let i = 0; i < 2; i++) group.same(`embedImage, ${i}`, await code("embedImage", PICTURE), "not-finite");
  group.same("classify", await code("classify", PICTURE, ["a cat", "a dog"]), "not-finite");
  const text = await code("embedText", "a cat");
  group.same("the other tower", text, "no error");
  group.rejects("the other tower", text, "not-finite");
}
