// Sets of labels: the scores of the reference, and nothing of the text tower once they are made.
import { largest } from "../lib/report.mjs";
import { exact } from "./numbers.mjs";

const CLOSE = 1e-4;
/** Few of them differ, so that the text tower is soon done. */
const THOUSAND = Array.from({ length: 1000 }, (_, i) => `label ${i % 16}`);

export async function labels(test) {
  for (const model of ["clip", "siglip"]) await numbers({ ...test, model });
  await cost(test);
  await trouble(test);
}

const make = (page, model, names, options) => page.evaluate(([m, n, o]) => web.labels("set", m, n, o), [model, names, options]);
const bySet = (page, pictures, options) => page.evaluate(([p, o]) => web.classifyBySet("set", p, o), [pictures, options]);
const inOrder = (ranked) => ranked.toSorted((a, b) => a.index - b.index).map(({ score }) => score);

async function numbers({ page, report, fixtures, model, quirks }) {
  await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
  const golden = fixtures.golden(model);
  const { labels } = golden.logits_per_image;
  const names = exact(Object.keys(golden.images), quirks);
  const pictures = names.map((name) => ({ url: `/fixtures/images/${name}` }));
  const group = report.group(`${model}: a set of labels`, largest, CLOSE);
  const same = report.beside(`${model}: a set's answers are classify's`);
  same.same("names, whatever becomes of the list", await make(page, model, labels, {}), labels);
  // All pictures at once: they share the set's buffers.
  const found = await bySet(page, pictures);
  names.forEach((name, i) => group.same(name, inOrder(found[i]), golden.scores[name]));
  group.rejects("another picture's", inOrder(found[0]), golden.scores[names[1]]);
  for (const options of [{}, { template: "a photo of a {}." }, { score: "softmax" }, { score: "sigmoid" }, { score: "cosine" }, { score: "logits", topK: 2 }]) {
    await make(page, model, labels, options);
    const [one] = await bySet(page, pictures.slice(0, 1), options);
    const direct = await page.evaluate(([m, p, l, o]) => web.classify(m, p, l, o), [model, pictures[0], labels, options]);
    same.same(JSON.stringify(options), JSON.stringify(one), JSON.stringify(direct));
    same.rejects(`${JSON.stringify(options)}: another picture's`, JSON.stringify((await bySet(page, pictures.slice(1, 2), options))[0]), JSON.stringify(direct));
    group.holds("topK", one.length === (options.topK ?? labels.length), one.length);
  }
  const sorted = found.every((ranked) => ranked.every((entry, i) => i === 0 || ranked[i - 1].score >= entry.score));
  group.holds("best first", sorted);
  group.holds("each with its label", found.every((ranked) => ranked.every(({ label, index }) => label === labels[index])));
  const twice = ["b", "a", "b", "b"];
  await make(page, model, twice, {});
  const [ranked] = await bySet(page, pictures.slice(0, 1));
  same.same("equal scores stay in the order given", ranked.filter(({ label }) => label === "b").map(({ index }) => index), [0, 2, 3]);
}

/** Work on the GPU, counted: one tower and one step more, however many labels, in the first call and in the next. */
async function cost({ page, report }) {
  const { info } = await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  const picture = { url: "/fixtures/images/rgb-61x37.png" };
  const group = report.group("what a picture costs with a set of labels");
  // Cosines and scores beside the picture's own.
  const right = [info.dispatchesPerImage + 2, 1, 0];
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
  for (const score of ["cosine", "logits"]) group.rejects(`another score: ${score}`, used(await classify(["one", "two"], { score })), right);
}

async function trouble({ page, report }) {
  const picture = { url: "/fixtures/images/rgb-61x37.png" };
  const group = report.group("sets of labels that cannot be");
  const code = async (call, ...args) => (await page.evaluate(([c, a]) => web.attempt(() => web[c](...a)), [call, args])).code ?? "no error";
  const labels = (names, options, model = "siglip") => code("labels", "bad", model, names, options);
  group.same("no labels", await labels([]), "bad-input");
  group.same("a string", await labels("a cat"), "bad-input");
  group.same("a number among them", await labels(["a cat", 7]), "bad-input");
  group.same("a template without {}", await labels(["a cat"], { template: "a photo" }), "bad-input");
  group.same("an unknown score", await labels(["a cat"], { score: "best" }), "bad-input");
  group.rejects("sound labels", await labels(["a cat"]), "bad-input");
  for (const topK of [0, "many"]) group.same(`topK ${topK}`, await code("classifyBySet", "bad", [picture], { topK }), "bad-input");
  group.same("a broken picture", await code("classifyBySet", "bad", [{ ...picture, form: "broken Blob" }]), "bad-image");
  group.same("a sound picture afterwards", await code("classifyBySet", "bad", [picture]), "no error");
  await page.evaluate(() => web.load("words", "/fixtures/siglip/", { towers: "text" }));
  group.same("of a text tower alone", await labels(["a cat"], {}, "words"), "no error");
  group.same("a picture for a text tower alone", await code("classifyBySet", "bad", [picture]), "bad-input");
  await page.evaluate(() => web.load("pictures", "/fixtures/siglip/", { towers: "vision" }));
  group.same("of a picture tower alone", await labels(["a cat"], {}, "pictures"), "bad-input");
  await labels(["a cat", "a dog"]);
  await page.evaluate(() => web.dispose("siglip"));
  group.same("a set of a model that was disposed of", await code("classifyBySet", "bad", [picture]), "disposed");
  group.same("labels after dispose()", await labels(["a cat"]), "disposed");
}
