// Labels that are taught by pictures, thresholds from examples, and the files that keep both.
import { different, largest } from "../lib/report.mjs";
import { dot, inOrder, mean } from "./templates.mjs";

const CLOSE = 1e-5;
const NAMES = ["a cat", "two dogs", "a red car"];
const url = (name) => ({ url: `/fixtures/images/${name}` });

export async function learn(test) {
  const { fixtures, page } = test;
  const pictures = Object.keys(fixtures.golden("siglip").images)
    .filter((name) => name.endsWith(".png") && !/^(rgba|grey-alpha)/.test(name))
    .slice(0, 6)
    .map(url);
  for (const model of ["clip", "siglip"]) {
    await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
    await taught({ ...test, model, pictures });
    await calibrated({ ...test, model, pictures });
    await kept({ ...test, model, pictures });
  }
  await alone({ ...test, pictures });
  await refused({ ...test, pictures });
}

const make = (page, model, names, options = {}) =>
  page.evaluate(([m, n, o]) => web.labels("set", m, n, o), [model, names, options]);
const bySet = (page, pictures, options, set = "set") =>
  page.evaluate(([s, p, o]) => web.classifyBySet(s, p, o), [set, pictures, options]);
const cosines = async (page, picture, set) => inOrder((await bySet(page, [picture], { score: "cosine" }, set))[0]);
const teach = (page, label, pictures, set = "set", model) =>
  page.evaluate(([s, l, p, m]) => web.learn(s, l, p, m), [set, label, pictures, model]);
const embed = (page, model, picture) => page.evaluate(([m, p]) => web.embedImage(m, p), [model, picture]);

/** A square of one grey, as pixels. */
const blank = (side, level) => ({
  form: "ImageData",
  pixels: {
    width: side,
    height: side,
    base64: Buffer.from(Array.from({ length: side * side * 4 }, (_, i) => (i % 4 === 3 ? 255 : level))).toString(
      "base64",
    ),
  },
});

/** The rule of docs/decisions/labels-and-learning.md, from the model's own embeddings. */
async function row(page, model, side, text, pictures) {
  const of = (picture) => embed(page, model, picture);
  const nothing = mean(await Promise.all([0, 128, 255].map((level) => of(blank(side, level)))));
  const own = mean(await Promise.all(pictures.map(of)));
  const direction = mean([own.map((x, i) => x - nothing[i])]);
  return text ? mean([text.map((x, i) => 2 * x + pictures.length * direction[i])]) : direction;
}

async function taught({ page, report, model, pictures }) {
  const { info } = await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
  const [target, ...others] = pictures;
  const seen = await embed(page, model, target);
  await make(page, model, NAMES);
  const before = await cosines(page, target);
  await teach(page, "two dogs", others.slice(0, 1));
  await teach(page, "my cup", [target]);
  await teach(page, "two dogs", others.slice(1, 3));
  const after = await cosines(page, target);
  const text = await page.evaluate(([m, t]) => web.embedText(m, t), [model, "two dogs"]);
  const blended = dot(await row(page, model, info.imageSize, text, others.slice(0, 3)), seen);
  const cup = dot(await row(page, model, info.imageSize, undefined, [target]), seen);
  const group = report.group(`${model}: labels taught by pictures`, largest, CLOSE);
  const right = [before[0], blended, before[2], cup];
  group.same("a text with three pictures, a new label with one", after, right);
  group.rejects("without what pictures have in common", [before[0], blended, before[2], dot(seen, seen)], right);
  group.rejects("what it was before", [...before, cup], right);
  await page.evaluate(() => web.forget("set", "two dogs"));
  await teach(page, "two dogs", others.slice(0, 3), "set", model);
  group.same("by embeddings as well", await cosines(page, target), right);
  const words = report.beside(`${model}: taught and forgotten`);
  words.same("names", await page.evaluate(() => web.names("set")), [...NAMES, "my cup"]);
  const best = async (picture) => (await bySet(page, [picture], { score: "cosine" }))[0][0].label;
  words.same("the best for its own picture", await best(target), "my cup");
  for (const label of ["two dogs", "my cup", "a cat"]) await page.evaluate((l) => web.forget("set", l), label);
  words.same("names afterwards", await page.evaluate(() => web.names("set")), NAMES);
  words.rejects("the best afterwards", await best(target), "my cup");
  group.same("forgotten", await cosines(page, target), before);
  await make(page, model, NAMES);
  const answers = await page.evaluate(([p]) => web.learnAtOnce("set", "my cup", p), [pictures.slice(0, 2)]);
  words.holds(
    "answers while it learns",
    answers.length === 2 && answers.every((ranked) => [3, 4].includes(ranked.length)),
    JSON.stringify(answers),
  );
}

/** Every cut there is, tried. */
function bestF1(scores, right) {
  const f1 = (cut) => {
    const given = scores.map((score) => score >= cut);
    const hits = given.filter((yes, i) => yes && right[i]).length;
    return (2 * hits) / (given.filter(Boolean).length + right.filter(Boolean).length);
  };
  return { f1, best: Math.max(...scores.map(f1)) };
}

async function calibrated({ page, report, model, pictures }) {
  await make(page, model, [...NAMES, "never"]);
  await page.evaluate(() => web.forget("set", "never"));
  const labels = [["a cat"], ["a cat", "two dogs"], [], ["two dogs"], ["a cat", "a red car"], ["a red car"]];
  const scores = (await bySet(page, pictures, { multiLabel: true })).map(inOrder);
  const found = await page.evaluate(
    (e) => web.calibrate("set", e),
    labels.map((labels, i) => ({ picture: pictures[i], labels })),
  );
  const group = report.group(`${model}: thresholds of labels`, largest, 1e-9);
  for (const [at, name] of NAMES.entries()) {
    const own = scores.map((row) => row[at]);
    const { f1, best } = bestF1(
      own,
      labels.map((list) => list.includes(name)),
    );
    group.same(`${name}: F1`, [found[at].f1], [best]);
    group.same(`${name}: F1 of its threshold`, [f1(found[at].threshold)], [best]);
    group.rejects(`${name}: a threshold above all`, [f1(2)], [best]);
  }
  group.holds(
    "names and examples",
    found.every(({ label, examples }, i) => label === [...NAMES, "never"][i] && examples === [3, 2, 2, 0][i]),
    JSON.stringify(found),
  );
  const three = found
    .slice(0, 3)
    .map(({ threshold }) => threshold)
    .sort((a, b) => a - b);
  group.same("a label that no picture has: the median", [found[3].threshold], [three[1]]);
  group.holds("without F1", found[3].f1 === null);
  const used = report.beside(`${model}: thresholds in use`);
  const answers = async (options) =>
    (await bySet(page, pictures, options)).map((ranked) =>
      ranked
        .map(({ index }) => index)
        .sort()
        .join(),
    );
  const expected = scores.map((row) => row.flatMap((score, at) => (score >= found[at].threshold ? [at] : [])).join());
  used.same("multiLabel", await answers({ multiLabel: true }), expected);
  used.same(
    "a threshold of the call's own",
    await answers({ multiLabel: true, threshold: 0 }),
    pictures.map(() => "0,1,2,3"),
  );
  used.rejects("not without multiLabel", await answers({}), expected);
  await teach(page, "a cat", pictures.slice(0, 1));
  const relearned = (await bySet(page, pictures, { multiLabel: true })).map((ranked) =>
    ranked.some(({ index }) => index === 0),
  );
  used.holds("a label that learns loses its threshold", relearned.every(Boolean), relearned);
}

/** Saved, and loaded by a model that has no text tower, once in a worker. */
async function kept({ page, report, model, pictures }) {
  const { info } = await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
  await make(page, model, NAMES, { template: "a {}", score: "logits" });
  await teach(page, "my cup", pictures.slice(0, 2));
  await teach(page, "two dogs", pictures.slice(2, 3));
  await page.evaluate(
    (e) => web.calibrate("set", e),
    [
      { picture: pictures[0], labels: ["my cup"] },
      { picture: pictures[3], labels: ["a cat"] },
    ],
  );
  const bytes = await page.evaluate(() => web.saveLabels("set"));
  await page.evaluate((m) => web.load("other", `/fixtures/${m}/`, { towers: "vision", worker: m === "clip" }), model);
  await page.evaluate(([b]) => web.loadLabels("loaded", "other", b), [bytes]);
  const group = report.group(`${model}: labels in a file`);
  for (const options of [{}, { multiLabel: true }]) {
    const answers = async (set) => JSON.stringify(await bySet(page, pictures, options, set));
    const expected = await answers("set");
    group.same(`answers ${JSON.stringify(options)}`, await answers("loaded"), expected);
    for (const set of ["set", "loaded"]) await teach(page, "two dogs", pictures.slice(4, 5), set);
    group.same(`after more pictures ${JSON.stringify(options)}`, await answers("loaded"), await answers("set"));
    group.rejects(`without them ${JSON.stringify(options)}`, await answers("loaded"), expected);
  }
  // By another reader: what safetensors says it is.
  const file = Buffer.from(bytes);
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))));
  const head = JSON.parse(header.__metadata__["ocelli.labels"]);
  group.same(
    "names in the file",
    head.labels.map(({ name }) => name),
    [...NAMES, "my cup"],
  );
  group.same(
    "model, format and templates",
    JSON.stringify([head.modelHash, head.format, head.templates]),
    JSON.stringify([info.modelHash, info.format, ["a {}"]]),
  );
  group.same(
    "shapes",
    JSON.stringify([header.texts.shape, header.examples.shape]),
    JSON.stringify([
      [3, info.embeddingDim],
      [2, info.embeddingDim],
    ]),
  );
  const code = async (bytes) =>
    (await page.evaluate(([b]) => web.attempt(() => web.loadLabels("bad", "other", b)), [bytes])).code ?? "no error";
  group.same("half a file", await code(bytes.slice(0, bytes.length >> 1)), "bad-input");
  group.same("no file", await code(undefined), "bad-input");
  for (const wrong of [[], [1, 2, 3], Array(64).fill(32), [8, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from("{}      ")]])
    group.same(`${wrong.length} bytes of something else`, await code(wrong), "bad-input");
  const notFinite = [...bytes];
  notFinite.splice(-4, 4, 0, 0, 0xc0, 0x7f);
  group.same("NaN", await code(notFinite), "bad-input");
  const foreign = Buffer.from(file.toString("latin1").replace(info.modelHash, "0".repeat(64)), "latin1");
  const { code: refused, message } = await page.evaluate(
    ([b]) => web.attempt(() => web.loadLabels("bad", "other", b)),
    [[...foreign]],
  );
  group.same("another model's", refused ?? "no error", "wrong-model");
  group.holds("names both", message?.includes(info.modelHash) && message.includes("0".repeat(64)), message);
}

/** Labels without any text, by a model without its text tower. */
async function alone({ page, report, pictures }) {
  const group = report.group("labels that are pictures alone");
  for (const model of ["siglip", "clip"]) {
    await page.evaluate((m) => web.load("alone", `/fixtures/${m}/`, { towers: "vision" }), model);
    await page.evaluate(([a, b]) => web.learnAlone("set", "alone", { "my cup": [a], "her cup": [b] }), pictures);
    const best = (await bySet(page, pictures.slice(0, 2), { topK: 1 })).map(([{ label }]) => label);
    group.same(`${model}: each its own`, best, ["my cup", "her cup"]);
    group.rejects(`${model}: exchanged`, best, ["her cup", "my cup"]);
  }
}

async function refused({ page, report, pictures }) {
  const group = report.group("lessons that make no sense");
  await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  await make(page, "siglip", NAMES);
  const ask = async (call, ...args) => {
    const { code = "no error", seen } = await page.evaluate(([c, a]) => web.watched(c, ...a), [call, args]);
    return `${code}, ${seen.dispatches} dispatches`;
  };
  const expected = "bad-input, 0 dispatches";
  group.same("an empty label", await ask("learn", "set", "", pictures), expected);
  group.same("a number for a label", await ask("learn", "set", 7, pictures), expected);
  group.same("no pictures", await ask("learn", "set", "my cup", []), expected);
  group.same(
    "a label without pictures",
    await ask("learnAlone", "set", "siglip", { "my cup": pictures, "her cup": [] }),
    expected,
  );
  group.same("no labels", await ask("learnAlone", "set", "siglip", {}), expected);
  group.same("an unknown label to forget", await ask("forget", "set", "my cup"), expected);
  group.same("no examples", await ask("calibrate", "set", []), expected);
  group.same(
    "examples without labels",
    await ask("calibrate", "set", [{ picture: pictures[0], labels: [] }]),
    expected,
  );
  group.same(
    "an example of an unknown label",
    await ask("calibrate", "set", [{ picture: pictures[0], labels: ["my cup"] }]),
    expected,
  );
  group.same(
    "an example whose labels are a string",
    await ask("calibrate", "set", [{ picture: pictures[0], labels: "a cat" }]),
    expected,
  );
  const broken = { ...pictures[0], form: "broken Blob" };
  group.same(
    "a broken picture",
    (await page.evaluate(([p]) => web.attempt(() => web.learn("set", "my cup", p)), [[broken]])).code,
    "bad-image",
  );
  group.same("teaches nothing", await page.evaluate(() => web.names("set")), NAMES);
  await page.evaluate(([p]) => web.learnAlone("one", "siglip", { "my cup": p }), [pictures.slice(0, 1)]);
  group.same("the only label to forget", await ask("forget", "one", "my cup"), expected);
  group.rejects("a lesson", await ask("learn", "set", "my cup", pictures.slice(0, 1)), expected);
}
