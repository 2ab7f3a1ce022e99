// Sets of queries: which texts were cut, and thresholds from examples.
import { largest } from "../lib/report.mjs";
import { picture } from "../lib/finders.mjs";

const LABELS = ["a cat", "two dogs", "a red car"];
const IMAGES = [
  "rgb-61x37.png",
  "tall-23x97.png",
  "tiny-7x5.png",
  "large-211x140.png",
  "exact-45x45.png",
  "exact-45x33.png",
];
/** As many words as fit with the two tokens around them, and one more: each is a token. */
const [FITS, LONG] = [14, 15].map((words) => Array(words).fill("a").join(" "));

export async function findSets(test) {
  const { page } = test;
  const load = (name, kind, folder, more) =>
    page.evaluate((a) => web.loadFinder(...a), [name, kind, `/fixtures/${folder}/`, { backend: "cpu", ...more }]);
  for (const [where, more] of [
    ["page", {}],
    ["worker", { worker: true }],
  ]) {
    await load("sets", "detect", "owlv2", more);
    await cut({ ...test, where, load });
    await calibrated({ ...test, where, load });
  }
  await apart({ ...test, load });
  await amiss({ ...test, load });
  await nextVisit(test);
  await page.evaluate(() => web.disposeFinder("sets"));
}

const make = (page, set, queries, options, name = "sets") =>
  page.evaluate(([n, s, q, o]) => web.queries(n, s, q, o), [name, set, queries, options]);
const cutOf = (page, set) => page.evaluate((s) => web.cutOf(s), set);
const detect = (page, image, set, options) =>
  page.evaluate(([p, s, o]) => web.detect("sets", p, s, o), [picture(image), set, options]);

/** A text of more than 16 tokens ends early, and the set says so, wherever it comes from. */
async function cut({ page, report, where, load }) {
  const group = report.group(`labels that are cut, in a ${where}`);
  const queries = [
    "a cat",
    LONG,
    FITS,
    { label: "my thing", text: `${LONG} a` },
    { label: "shown", image: picture(IMAGES[0]) },
  ];
  await make(page, "words", queries);
  group.same("as they are", await cutOf(page, "words"), [LONG, "my thing"]);
  group.rejects("one that fits", await cutOf(page, "words"), [LONG, FITS, "my thing"]);
  await make(page, "in words", queries, { templates: ["{}", "a {}"] });
  group.same("in a template", await cutOf(page, "in words"), [LONG, FITS, "my thing"]);
  await make(page, "short", ["a cat"]);
  group.same("none", await cutOf(page, "short"), []);
  const ends = async (word) =>
    (await detect(page, IMAGES[0], [`${LONG} ${word}`], { threshold: 0 })).map(({ logit }) => logit);
  group.same("its end is not seen", await ends("cat"), await ends("dog"));
  await load("eyes", "detect", "owlv2", { towers: "vision" });
  await page.evaluate(() => web.movedQueries("eyes", "words", "moved"));
  group.same("saved and loaded", await cutOf(page, "moved"), [LONG, "my thing"]);
  await page.evaluate(() => web.disposeFinder("eyes"));
  await load("masks", "segment", "clipseg", { picturePrompts: true, worker: where === "worker" });
  const prompts = ["a cat", LONG, picture(IMAGES[0]), FITS];
  const masks = (options) =>
    page.evaluate(([p, t, o]) => web.segment("masks", p, t, o), [picture(IMAGES[0]), prompts, options]);
  const flags = async (options) => (await masks(options)).map((mask) => String(mask.cut));
  group.same("prompts", await flags({}), ["false", "true", "false", "false"]);
  group.same("prompts in a template", await flags({ template: "a {}" }), ["false", "true", "false", "true"]);
  await page.evaluate(() => web.disposeFinder("masks"));
}

/** Asked of the browser's cache, without the tokenizer. */
async function nextVisit({ browser, server, report }) {
  const group = report.group("labels that are cut, on the next visit");
  const page = await browser.newPage();
  await page.goto(`${server.page}?backend=cpu`);
  const visit = async (towers) => {
    await page.evaluate((o) => web.loadFinder("sets", "detect", "/fixtures/owlv2/", o), { towers });
    await make(page, "words", ["a cat", LONG, `${FITS} `], { cache: true });
    return cutOf(page, "words");
  };
  const first = await visit("both");
  group.same("first", first, [LONG]);
  await page.reload();
  server.sent.length = 0;
  group.same("second", await visit("vision"), first);
  const tokenizers = server.sent.filter(({ path }) => path.endsWith("/tokenizer.json"));
  group.same("tokenizers fetched", tokenizers.length, 0);
  group.rejects("none is cut", first, []);
  await page.close();
}

/** The best score of each label in a picture; 0 where each patch is something else. */
const best = (found, labels = LABELS) =>
  labels.map((_, at) => Math.max(0, ...found.filter(({ index }) => index === at).map(({ score }) => score)));

/** F1 of finding what is above a threshold. */
const f1 = (scores, right) => (threshold) => {
  const found = scores.map((score) => score > threshold);
  const hits = found.filter((yes, i) => yes && right[i]).length;
  return (2 * hits) / (found.filter(Boolean).length + right.filter(Boolean).length);
};

const SHOWN = [["a cat"], ["a cat", "two dogs"], [], ["two dogs"], ["a cat"], []];

/** Every threshold there is, tried. */
async function calibrated({ page, report, where, load }) {
  const group = report.group(`thresholds from examples, in a ${where}`, largest, 1e-9);
  const used = report.beside(`thresholds in use, in a ${where}`);
  await make(page, "set", LABELS, { thresholds: { "a cat": 0.9 } });
  await make(page, "plain", LABELS);
  const scores = [];
  for (const image of IMAGES) scores.push(best(await detect(page, image, "plain", { threshold: 0 })));
  const examples = IMAGES.map((image, i) => ({ image: picture(image), labels: SHOWN[i] }));
  const found = await page.evaluate((e) => web.calibrateQueries("set", e), examples);
  for (const [at, label] of LABELS.slice(0, 2).entries()) {
    const own = scores.map((row) => row[at]);
    const judge = f1(
      own,
      SHOWN.map((labels) => labels.includes(label)),
    );
    const most = Math.max(...own.filter((score) => score > 0).map((score) => judge(score * (1 - 1e-6))));
    group.same(`${label}: F1`, [found[at].f1], [most]);
    group.same(`${label}: F1 of its threshold`, [judge(found[at].threshold)], [most]);
    group.rejects(`${label}: a threshold above all`, [judge(1)], [most]);
  }
  used.same(
    "labels and examples",
    found.map(({ label, examples }) => `${label}: ${examples}`),
    ["a cat: 3", "two dogs: 2", "a red car: 0"],
  );
  used.holds("without F1", found[2].f1 === null);
  const [cat, dogs] = found.map(({ threshold }) => threshold);
  group.same("a label that no picture has: the median", [found[2].threshold], [Math.max(cat, dogs)]);
  const answers = async (set, options) => {
    const all = [];
    for (const image of IMAGES) all.push(labelsOf(await detect(page, image, set, options)));
    return all;
  };
  const expected = scores.map((row) => LABELS.filter((_, at) => row[at] > found[at].threshold).join());
  used.same("detect", await answers("set"), expected);
  used.same("with another threshold", await answers("set", { threshold: 1 }), expected);
  used.rejects("without them", await answers("plain", { threshold: 0 }), expected);
  await lowest({ page, used, scores });
  // As scenes, and once more: what the set had before does not matter.
  for (const image of IMAGES) await page.evaluate(([i, p]) => web.look("sets", i, p), [image, picture(image)]);
  const scenes = IMAGES.map((image, i) => ({ image, labels: SHOWN[i] }));
  used.same(
    "examples that are scenes",
    JSON.stringify(await page.evaluate((e) => web.calibrateQueries("set", e), scenes)),
    JSON.stringify(found),
  );
  await load("eyes", "detect", "owlv2", { towers: "vision" });
  await page.evaluate(() => web.movedQueries("eyes", "set", "kept"));
  await page.evaluate(() => web.movedQueries("sets", "set", "again"));
  used.same("saved and loaded", await answers("again"), expected);
  const there = await page.evaluate((p) => web.detect("eyes", p, "kept"), picture(IMAGES[0]));
  used.same("without the text tower", labelsOf(there), expected[0]);
  await page.evaluate(() => web.disposeFinder("eyes"));
}

/** Where a label is wherever it is anything at all, half a logit is left below the last one: pictures of nothing of it do not count. */
async function lowest({ page, used, scores }) {
  const own = scores.map(([cat]) => cat);
  used.holds("a cat is somewhere and not everywhere", own.some((score) => score > 0) && own.includes(0), own.join());
  const examples = IMAGES.map((image, i) => ({ image: picture(image), labels: own[i] > 0 ? ["a cat"] : [] }));
  await make(page, "lowest", LABELS);
  const [{ threshold }] = await page.evaluate((e) => web.calibrateQueries("lowest", e), examples);
  const last = Math.min(...own.filter((score) => score > 0));
  const below = 1 / (1 + ((1 - last) / last) * Math.exp(0.5));
  used.same("half a logit below the last one", [threshold.toFixed(5)], [below.toFixed(5)]);
  used.rejects("the last one", [threshold.toFixed(5)], [last.toFixed(5)]);
}

const labelsOf = (found) => LABELS.filter((label) => found.some((one) => one.label === label)).join();

/** A label that what is not meant always outdoes is nowhere: it cannot be found, whatever its threshold. */
async function apart({ page, report }) {
  const group = report.group("a threshold for what is never found");
  const image = picture(IMAGES[0]);
  await make(page, "hidden", [
    { negative: true, image },
    { label: "it", image },
  ]);
  const ask = (set) => page.evaluate(([s, i]) => web.calibrateQueries(s, [{ image: i, labels: ["it"] }]), [set, image]);
  const shown = ([{ label, f1, examples }]) => JSON.stringify([label, f1, examples]);
  group.same("is outdone", shown(await ask("hidden")), JSON.stringify(["it", 0, 1]));
  await make(page, "shown", [{ label: "it", image }]);
  group.rejects("is not", shown(await ask("shown")), JSON.stringify(["it", 0, 1]));
}

/** What makes no sense changes nothing. */
async function amiss({ page, report, load }) {
  const group = report.group("examples that make no sense");
  await make(page, "set", LABELS);
  const save = () => detect(page, IMAGES[0], "set").then((found) => JSON.stringify(found));
  const before = await save();
  const ask = (examples, stop, set = "set") =>
    page.evaluate(([s, e, o]) => web.attempt(() => web.calibrateQueries(s, e, o)), [set, examples, stop]);
  const image = picture(IMAGES[0]);
  const sound = { image, labels: ["a cat"] };
  await load("others", "segment", "clipseg");
  await page.evaluate((p) => web.look("others", "foreign", p), image);
  for (const [what, examples, code, word] of [
    ["none", [], "bad-input", "examples: expected at least one"],
    ["no list", 7, "bad-input", "examples: expected an array"],
    ["without labels", [{ image, labels: [] }], "bad-input", "examples: expected at least one"],
    ["no list of labels", [{ image }], "bad-input", "examples[0].labels"],
    [
      "an unknown label",
      [sound, { image, labels: ["a cup"] }],
      "bad-input",
      'examples[1].labels: expected labels of this set, found "a cup"',
    ],
    ["a label for a list", [{ image, labels: "a cat" }], "bad-input", "examples[0].labels"],
    [
      "a broken picture",
      [sound, { image: { ...image, form: "broken Blob" }, labels: [] }],
      "bad-image",
      "examples[1].image",
    ],
    ["another model's scene", [sound, { image: "foreign", labels: [] }], "bad-input", "examples[1].image: scene"],
  ]) {
    const { code: found = "no error", message = "" } = await ask(examples);
    group.same(what, found, code);
    group.holds(`${what}: says which`, message.includes(word), message);
  }
  group.same("stopped", (await ask(Array(50).fill(sound), true)).code, "aborted");
  group.same("nothing has changed", await save(), before);
  group.holds("sound ones", Array.isArray((await ask([sound])).value));
  group.rejects("something has changed", await save(), before);
  await page.evaluate(() => web.dropQueries("set"));
  group.same("disposed of", (await ask([sound])).code, "disposed");
  await page.evaluate(() => web.disposeFinder("others"));
}
