// Sets of labels: the scores of the reference, and nothing of the text tower once they are made.
import { largest } from "../lib/report.mjs";
import { labelsOf } from "../lib/fixtures.mjs";
import { exact } from "./numbers.mjs";
import { inOrder } from "./templates.mjs";

const CLOSE = 1e-4;
/** Few of them differ, so that the text tower is soon done. */
const THOUSAND = Array.from({ length: 1000 }, (_, i) => `label ${i % 16}`);

export async function labels(test) {
  for (const model of ["clip", "siglip"]) {
    await numbers({ ...test, model });
    await onTheirOwn({ ...test, model });
    await many({ ...test, model });
  }
  await brokenOnes(test);
  await large(test);
  await cost(test);
  await trouble(test);
}

const make = (page, model, names, options) =>
  page.evaluate(([m, n, o]) => web.labels("set", m, n, o), [model, names, options]);
const bySet = (page, pictures, options) =>
  page.evaluate(([p, o]) => web.classifyBySet("set", p, o), [pictures, options]);

async function numbers({ page, report, fixtures, model, quirks }) {
  await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
  const golden = fixtures.golden(model);
  const labels = labelsOf(golden);
  const names = exact(Object.keys(golden.images), quirks);
  const pictures = names.map((name) => ({ url: `/fixtures/images/${name}` }));
  const group = report.group(`${model}: a set of labels`, largest, CLOSE);
  const same = report.beside(`${model}: a set's answers are classify's`);
  same.same("names, whatever becomes of the list", await make(page, model, labels, {}), labels);
  // All pictures at once: they share the set's buffers.
  const found = await bySet(page, pictures);
  names.forEach((name, i) => group.same(name, inOrder(found[i]), golden.scores[name]));
  group.rejects("another picture's", inOrder(found[0]), golden.scores[names[1]]);
  for (const options of [
    {},
    { template: "a photo of a {}." },
    { score: "softmax" },
    { score: "sigmoid" },
    { score: "cosine" },
    { score: "logits", topK: 2 },
  ]) {
    await make(page, model, labels, options);
    const [one] = await bySet(page, pictures.slice(0, 1), options);
    const direct = await page.evaluate(
      ([m, p, l, o]) => web.classify(m, p, l, o),
      [model, pictures[0], labels, options],
    );
    same.same(JSON.stringify(options), JSON.stringify(one), JSON.stringify(direct));
    same.rejects(
      `${JSON.stringify(options)}: another picture's`,
      JSON.stringify((await bySet(page, pictures.slice(1, 2), options))[0]),
      JSON.stringify(direct),
    );
    group.holds("topK", one.length === (options.topK ?? labels.length), one.length);
  }
  const sorted = found.every((ranked) => ranked.every((entry, i) => i === 0 || ranked[i - 1].score >= entry.score));
  group.holds("best first", sorted);
  group.holds(
    "each with its label",
    found.every((ranked) => ranked.every(({ label, index }) => label === labels[index])),
  );
  const twice = ["b", "a", "b", "b"];
  await make(page, model, twice, {});
  const [ranked] = await bySet(page, pictures.slice(0, 1));
  same.same(
    "equal scores stay in the order given",
    ranked.filter(({ label }) => label === "b").map(({ index }) => index),
    [0, 2, 3],
  );
}

/** The logit of a score that is a σ: small scores must be right as well. */
const logit = (score) => Math.log(score / (1 - score));
const NAMES = ["a cat", "two dogs", "a red car"];
const url = (name) => ({ url: `/fixtures/images/${name}` });

/** multiLabel, threshold and topK, from the logits. */
async function onTheirOwn({ page, report, fixtures, model, quirks }) {
  const pictures = exact(Object.keys(fixtures.golden(model).images), quirks)
    .slice(0, 4)
    .map(url);
  await make(page, model, [...NAMES, "a thing"], { score: "logits" });
  const logits = (await bySet(page, pictures)).map(inOrder);
  await make(page, model, NAMES, {});
  const group = report.group(`${model}: labels on their own`, largest, CLOSE);
  const own = async (options) =>
    (await bySet(page, pictures, { multiLabel: true, ...options })).map((ranked) => inOrder(ranked).map(logit));
  const found = await own();
  await make(page, model, ["thing"], { score: "logits" });
  const neutral = (await bySet(page, pictures)).map(([{ score }]) => score);
  pictures.forEach(({ url }, i) => {
    const labels = logits[i].slice(0, NAMES.length);
    const [asIs, compared] = [labels, labels.map((x) => x - neutral[i])];
    group.same(url, found[i], model === "clip" ? compared : asIs);
    group.rejects("the other family's rule", found[i], model === "clip" ? asIs : compared);
  });
  await make(page, model, NAMES, { neutral: "a thing" });
  const other = (await own())[0];
  if (model === "clip")
    group.same(
      "another neutral text",
      other,
      logits[0].slice(0, 3).map((x) => x - logits[0][3]),
    );
  const cut = report.beside(`${model}: threshold and topK`);
  for (const score of ["softmax", "sigmoid", "cosine", "logits"]) {
    const [all] = await bySet(page, pictures.slice(0, 1), { score });
    const ask = async (options) => JSON.stringify((await bySet(page, pictures.slice(0, 1), { score, ...options }))[0]);
    cut.same(`${score}: from the second on`, await ask({ threshold: all[1].score }), JSON.stringify(all.slice(0, 2)));
    cut.same(`${score}: one of them`, await ask({ threshold: all[1].score, topK: 1 }), JSON.stringify(all.slice(0, 1)));
    cut.same(`${score}: above all`, await ask({ threshold: all[0].score + 1 }), "[]");
    cut.rejects(`${score}: without`, await ask({}), JSON.stringify(all.slice(0, 2)));
  }
}

/** Many pictures in one call, and embeddings at hand: the answers of one call after the other. */
async function many({ page, report, fixtures, model, quirks }) {
  const names = exact(Object.keys(fixtures.golden(model).images), quirks);
  const pictures = [...names, ...names.toReversed()].map(url);
  await make(page, model, NAMES, {});
  const ways = await page.evaluate(([m, p]) => web.classifyInWays("set", m, p, { score: "logits" }), [model, pictures]);
  const group = report.group(`${model}: ${pictures.length} pictures in one call`, largest, CLOSE);
  const flat = (answers) => answers.flatMap(inOrder);
  for (const way of ["array", "later", "embedding"]) group.same(way, flat(ways[way]), flat(ways.one));
  group.rejects(
    "in another order",
    flat(ways.array.toReversed()).map((x, i) => x + (i === 0 ? 1 : 0)),
    flat(ways.one),
  );
  const first = await page.evaluate(([p]) => web.classifyAll("set", p, { stopAfter: 3 }), [pictures]);
  const told = report.beside(`${model}: many pictures, broken off`);
  told.same("with a signal", first.code, "aborted");
  told.holds(
    "after some answers",
    first.answers.length >= 3 && first.answers.length < pictures.length,
    first.answers.length,
  );
  told.rejects(
    "a call that is not stopped",
    (await page.evaluate(([p]) => web.classifyAll("set", p), [pictures.slice(0, 1)])).code ?? "none",
    "aborted",
  );
  const broken = pictures.with(10, { ...pictures[10], form: "broken Blob" });
  const failed = await page.evaluate(([p]) => web.classifyAll("set", p), [broken]);
  told.same("a broken picture", failed.code, "bad-image");
  told.same("which one", failed.message?.slice(0, 12) ?? "", "images[10]: ");
  told.same("answers before it", String(failed.answers.length), "8");
  for (const nothing of ["pictures", "", 7, null]) {
    const refused = await page.evaluate(
      (n) =>
        web.attempt(async () => {
          for await (const _ of web.setOf("set").classifyAll(n));
        }),
      nothing,
    );
    told.same(`${JSON.stringify(nothing)} for pictures`, refused.code, "bad-input");
  }
}

/** Embeddings that are none, and a set that was let go. */
async function brokenOnes({ page, report }) {
  const group = report.group("embeddings that are none, sets that are gone");
  const code = async (call, ...args) =>
    (await page.evaluate(([c, a]) => web.attempt(() => web[c](...a)), [call, args])).code ?? "no error";
  const { info } = await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  await make(page, "siglip", NAMES, {});
  group.same("too short", await code("scoreEmbedding", "set", [1, 2, 3]), "bad-input");
  const embedding = Array(info.embeddingDim).fill(0.1);
  group.rejects("a sound one", await code("scoreEmbedding", "set", embedding), "bad-input");
  await page.evaluate(() => web.disposeLabels("set"));
  group.same("classify after dispose()", await code("classifyBySet", "set", [url("rgb-61x37.png")]), "disposed");
  group.same("score after dispose()", await code("scoreEmbedding", "set", embedding), "disposed");
  await page.evaluate(() => web.disposeLabels("set"));
}

/** 100,000 labels: the GPU's answers are those of the CPU. */
async function large({ page, report }) {
  await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  const { gpu, cpu } = await page.evaluate((p) => web.largeSet("siglip", 100_000, p), url("rgb-61x37.png"));
  const group = report.group("100,000 labels in a set", largest, CLOSE);
  group.same(
    "cosines",
    gpu.map(({ score }) => score),
    cpu.map(({ score }) => score),
  );
  group.rejects(
    "others'",
    gpu.map(({ score }) => score),
    cpu.map(({ score }) => -score),
  );
  group.holds(
    "from far apart",
    Math.max(...gpu.map(({ index }) => index)) > 90_000 && Math.min(...gpu.map(({ index }) => index)) < 10_000,
  );
}

/** Work on the GPU, counted: one tower and one step more, however many labels, in the first call and in the next. */
async function cost({ page, report }) {
  const { info } = await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  const picture = { url: "/fixtures/images/rgb-61x37.png" };
  const group = report.group("what a picture costs with a set of labels");
  // Cosines beside the picture's own.
  const right = [info.dispatchesPerImage + 1, 1, 0];
  const used = ({ seen }) => [seen.dispatches, seen.reads, seen.buffers];
  for (const names of [["a cat", "a dog"], THOUSAND]) {
    await make(page, "siglip", names, {});
    const call = () => page.evaluate((p) => web.watched("classifyBySet", "set", [p], { topK: 1 }), picture);
    await call();
    group.same(`${names.length} labels: dispatches, reads, new buffers`, used(await call()), right);
  }
  const classify = (labels, options = {}) =>
    page.evaluate(([p, l, o]) => web.watched("classify", "siglip", p, l, o), [picture, labels, options]);
  const first = await classify(["one", "two"]);
  group.rejects("a call with new labels", used(first), right);
  await classify(["one", "two"]);
  group.same("classify again", used(await classify(["one", "two"])), right);
  for (let i = 0; i < 8; i++) await classify(["one", "two"], { template: `${i} {}` });
  const later = await classify(["one", "two"]);
  group.rejects("after eight other sets", used(later), right);
  group.same("after eight other sets, without the text tower", used(later).slice(0, 2), right.slice(0, 2));
  for (const score of ["cosine", "logits"])
    group.same(`another score: ${score}`, used(await classify(["one", "two"], { score })), right);
}

async function trouble({ page, report }) {
  const picture = { url: "/fixtures/images/rgb-61x37.png" };
  const group = report.group("sets of labels that cannot be");
  const code = async (call, ...args) =>
    (await page.evaluate(([c, a]) => web.attempt(() => web[c](...a)), [call, args])).code ?? "no error";
  const labels = (names, options, model = "siglip") => code("labels", "bad", model, names, options);
  group.same("no labels", await labels([]), "bad-input");
  group.same("a string", await labels("a cat"), "bad-input");
  group.same("a number among them", await labels(["a cat", 7]), "bad-input");
  group.same("a template without {}", await labels(["a cat"], { template: "a photo" }), "bad-input");
  group.same("an unknown score", await labels(["a cat"], { score: "best" }), "bad-input");
  group.rejects("sound labels", await labels(["a cat"]), "bad-input");
  for (const topK of [0, "many"])
    group.same(`topK ${topK}`, await code("classifyBySet", "bad", [picture], { topK }), "bad-input");
  group.same(
    "a broken picture",
    await code("classifyBySet", "bad", [{ ...picture, form: "broken Blob" }]),
    "bad-image",
  );
  group.same("a sound picture afterwards", await code("classifyBySet", "bad", [picture]), "no error");
  await page.evaluate(() => web.load("words", "/fixtures/siglip/", { towers: "text" }));
  group.same("of a text tower alone", await labels(["a cat"], {}, "words"), "no error");
  group.same("a picture for a text tower alone", await code("classifyBySet", "bad", [picture]), "bad-input");
  await page.evaluate(() => web.load("pictures", "/fixtures/siglip/", { towers: "vision" }));
  group.same(
    "of a picture tower alone",
    await labels(["a label that was never asked for"], {}, "pictures"),
    "bad-input",
  );
  await labels(["a cat", "a dog"]);
  await page.evaluate(() => web.dispose("siglip"));
  group.same("a set of a model that was disposed of", await code("classifyBySet", "bad", [picture]), "disposed");
  group.same("labels after dispose()", await labels(["a cat"]), "disposed");
}
