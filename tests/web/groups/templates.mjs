// Templates: what is shipped, and the mean over them as in CLIP's paper, computed here from the native program's embeddings.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { different, largest } from "../lib/report.mjs";

/** The browser's f32 sums against the native program's. */
const CLOSE = 1e-5;
const NAMES = ["cat", "red car", "café", "$& dollar"];
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function templates(test) {
  await shipped(test);
  for (const model of ["clip", "siglip"]) await means({ ...test, model });
  await refused(test);
}

async function shipped({ page, report, root }) {
  const source = JSON.parse(readFileSync(join(root, "data", "templates.json"), "utf8"));
  const found = await page.evaluate(() => web.templates());
  const group = report.group("templates as the program has them");
  group.same("best7", found.best7, source["openai-7"]);
  group.same("imagenet80", found.imagenet80, source["openai-80"]);
  group.same("plain", found.plain, ["{}"]);
  group.rejects("one that is different", found.best7.with(3, "a photo of a {}."), source["openai-7"]);
}

/** Σ of unit vectors, of unit length. */
export function mean(vectors) {
  const sum = vectors[0].map((_, i) => vectors.reduce((all, vector) => all + vector[i], 0));
  const length = Math.hypot(...sum);
  return sum.map((x) => x / length);
}

export const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
export const inOrder = (ranked) => ranked.toSorted((a, b) => a.index - b.index).map(({ score }) => score);

async function means({ page, report, fixtures, native, model }) {
  const title = `${model}: the mean over templates`;
  if (!native.exists) return report.skip(title, native.missing);
  await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
  const { best7 } = await page.evaluate(() => web.templates());
  const picture = await page.evaluate(([m, p]) => web.embedImage(m, p), [model, PICTURE]);
  const prompts = NAMES.flatMap((name) => best7.map((template) => template.split("{}").join(name)));
  const embeddings = native.embedTexts(fixtures.model(model), prompts);
  const rows = NAMES.map((_, i) => mean(embeddings.slice(i * best7.length, (i + 1) * best7.length)));
  const expected = rows.map((row) => dot(row, picture));
  const group = report.group(title, largest, CLOSE);
  const classify = (options) =>
    page.evaluate(([m, p, n, o]) => web.classify(m, p, n, { ...o, score: "cosine" }), [model, PICTURE, NAMES, options]);
  const scores = inOrder(await classify({ templates: best7 }));
  group.same("classify", scores, expected);
  group.rejects("one template", inOrder(await classify({ templates: best7.slice(0, 1) })), expected);
  const unscaled = NAMES.map((_, i) =>
    embeddings
      .slice(i * best7.length, (i + 1) * best7.length)
      .reduce((sum, e) => sum + dot(e, picture) / best7.length, 0),
  );
  group.rejects("a mean that is not of unit length", unscaled, expected);
  await page.evaluate(([m, n, o]) => web.labels("set", m, n, o), [model, NAMES, { templates: best7, score: "cosine" }]);
  const [bySet] = await page.evaluate((p) => web.classifyBySet("set", [p]), PICTURE);
  group.same("a set, which keeps its score", inOrder(bySet), expected);
  const one = "a photo of a {}.";
  const ways = [{ template: one }, { templates: one }, { templates: [one] }].map(classify);
  const [first, ...others] = (await Promise.all(ways)).map((answer) => JSON.stringify(answer));
  const same = report.beside(`${model}: ways to say one template`, different);
  for (const other of others) same.same("the same", other, first);
  same.rejects("another template", JSON.stringify(await classify({ template: "{}" })), first);
}

/** Refused at once: nothing is asked of the GPU. */
async function refused({ page, report }) {
  const { info } = await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  const group = report.group("labels and templates that make no sense");
  const most = (128 << 20) / 4 / info.embeddingDim;
  const ask = async (call, ...args) => {
    const { code = "no error", message, seen } = await page.evaluate(([c, a]) => web.watched(c, ...a), [call, args]);
    return { answer: `${code}, ${seen.dispatches} dispatches, ${seen.buffers} buffers`, message };
  };
  const expected = "bad-input, 0 dispatches, 0 buffers";
  const wrong = [
    [[]],
    [["a cat", ""]],
    ["a cat"],
    [null],
    [["a cat", 7]],
    [["a cat", null]],
    [["a cat"], { template: "a photo" }],
    [["a cat"], { template: "" }],
    [["a cat"], { template: 7 }],
    [["a cat"], { templates: [] }],
    [["a cat"], { templates: ["a {}", "a photo"] }],
    [["a cat"], { templates: [null] }],
    [["a cat"], { templates: ["{}"], template: "{}" }],
    [["a cat"], { score: "best" }],
    [["a cat"], { neutral: "" }],
    [["a cat"], { neutral: 7 }],
  ];
  for (const [names, options = {}] of wrong) {
    const { answer, message } = await ask("classify", "siglip", PICTURE, names, options);
    group.same(JSON.stringify([names, options]), answer, expected);
    group.holds(
      `${JSON.stringify([names, options])} says what was expected`,
      /^\w+: expected .*, found /.test(message),
      message,
    );
  }
  const many = await ask("manyLabels", "many", "siglip", Math.floor(most));
  group.same("more labels than fit", many.answer, expected);
  group.holds("says how many fit", many.message?.includes(`at most ${Math.floor(most) - 1}`), many.message);
  for (const options of [
    { topK: 0 },
    { threshold: "high" },
    { threshold: NaN },
    { multiLabel: true, score: "cosine" },
  ]) {
    await page.evaluate(() => web.labels("set", "siglip", ["a cat"]));
    group.same(
      `classify: ${JSON.stringify(options)}`,
      (await ask("classifyBySet", "set", [PICTURE], options)).answer,
      expected,
    );
  }
  group.rejects("what makes sense", (await ask("classify", "siglip", PICTURE, ["a cat", " "])).answer, expected);
}
