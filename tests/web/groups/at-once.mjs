// Calls with the same labels that begin at once: the text tower runs once for each text, and one set of labels serves all. In the
// browser, where the GPU's work is counted; and in Node, on a model that counts texts and fails when it is told to.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundle } from "../lib/parts.mjs";
import { inOrder } from "./templates.mjs";

const PICTURE = { url: "/fixtures/images/rgb-61x37.png", form: "ImageBitmap" };
const BROKEN = { ...PICTURE, form: "broken Blob" };

export async function atOnce(test) {
  for (const model of ["siglip", "clip"]) await counted({ ...test, model });
  await withoutGpu(test);
}

/** Names that were never asked for before. */
let asked = 0;
const fresh = (count) => Array.from({ length: count }, () => `thing ${asked++}`);

const times = (count, call) => Array.from({ length: count }, (_, i) => call(i));

/** Dispatches beside the pictures' own: those of the text tower for so many texts in each submission. */
async function counted({ page, report, model }) {
  const { info } = await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
  const group = report.group(`${model}: equal labels asked for at once`);
  // For CLIP every set has the neutral text as well, which the first call makes known.
  const labelsAlone = ["a cat", "a dog"];
  const run = (calls) => page.evaluate(([m, p, c]) => web.classifyAtOnce(m, p, c), [model, PICTURE, calls]);
  const template = { template: "a photo of a {}." };
  const templates = { templates: ["a photo of a {}.", "a drawing of a {}."] };
  for (const options of [{}, template, templates]) await run([{ labels: labelsAlone, options }]);
  const work = async (texts) => {
    const { seen } = await page.evaluate(([m, t]) => web.embedTexts(m, t), [model, times(texts, String)]);
    return seen.dispatches;
  };
  const [eight, sixteen] = [await work(8), await work(16)];
  const ofPictures = (count) => count * (info.dispatchesPerImage + 1);
  /** What the text tower did, and the answers' codes. */
  const told = ({ answers, seen }, pictures = answers.length) => [
    seen.dispatches - ofPictures(pictures),
    ...new Set(answers.map(({ code }) => code ?? "answer")),
  ];
  const one = await run([{ labels: fresh(16) }]);
  group.same("one call", told(one), [sixteen, "answer"]);

  const labels = fresh(16);
  const many = await run(times(100, () => ({ labels })));
  group.same("100 calls, 16 labels", told(many), [sixteen, "answer"]);
  group.rejects("each for itself", [100 * sixteen, "answer"], told(many));
  const scores = many.answers.map(({ value }) => JSON.stringify(inOrder(value)));
  group.same("all say the same", String(new Set(scores).size), "1");
  const kept = ({ seen }) => seen.buffers - seen.destroyed;
  // A set from which several answers are read at once has one buffer more to read them in.
  group.same("sets that stay", [Math.floor(kept(many) / kept(one))], [1]);
  group.holds("buffers that stay", kept(many) <= kept(one) + 1, `${kept(many)}, and after one call ${kept(one)}`);

  const names = fresh(24);
  const some = await run(times(20, (i) => ({ labels: i % 2 ? names.slice(0, 16) : names.slice(8) })));
  group.same("some labels shared", told(some), [sixteen + eight, "answer"]);

  const inTemplates = fresh(8);
  const both = await run(times(20, () => ({ labels: inTemplates, options: templates })));
  group.same("in two templates", told(both), [sixteen, "answer"]);
  group.rejects("without templates", told(both), [eight, "answer"]);

  const around = fresh(16);
  const failing = await run(times(20, (i) => ({ labels: around, ...(i === 7 && { picture: BROKEN }) })));
  group.same("one with a broken picture", told(failing, 19), [sixteen, "answer", "bad-image"]);

  const stopped = fresh(16);
  const others = await run(times(20, (i) => ({ labels: stopped, stop: i === 0 })));
  // What the first one has begun goes on, but for its picture.
  group.same("the first one stopped", told(others, 19), [sixteen, "aborted", "answer"]);
  const again = await run([{ labels: stopped }]);
  group.same("and called again", told(again), [0, "answer"]);
}

const DIM = 4;
/** More than the sets of labels that `classify` keeps. */
const MANY_SETS = 20;
const KEPT_SETS = 8;
/** Texts that are asked for at once. */
const AT_ONCE = 512;

/** What the package asks of a model, with unit vectors that depend on the text. */
function countingCore() {
  const core = {
    info: { embeddingDim: DIM, towers: "both", defaultScore: "sigmoid", logitScale: 1, logitBias: 0, modelHash: "m" },
    texts: 0,
    sets: new Map(),
    /** Fails the call of this number from now. */
    failing: { embedTexts: 0, addLabels: 0 },
    async embedTexts(texts) {
      core.texts += texts.length;
      await pause();
      core.fail("embedTexts");
      return Float32Array.from(texts.flatMap(direction));
    },
    async addLabels(rows) {
      core.fail("addLabels");
      const number = core.made++;
      core.sets.set(number, rows);
      await pause();
      return number;
    },
    made: 0,
    dropLabels: (number) => void core.sets.delete(number),
    async classify(number, image) {
      await pause();
      if (image === BROKEN) throw Object.assign(new Error("broken"), { code: "bad-image" });
      const rows = core.sets.get(number);
      if (!rows) throw Object.assign(new Error("gone"), { code: "disposed" });
      return Float32Array.from({ length: rows.length / DIM }, (_, i) => rows[i * DIM]);
    },
    fail(call) {
      if (core.failing[call]-- === 1) throw Object.assign(new Error("told to"), { code: "gpu" });
    },
    dispose: () => {},
  };
  return core;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 2));

function direction(text) {
  const angle = [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 1009, 7);
  return [Math.cos(angle), Math.sin(angle), 0, 0];
}

/** A browser's cache whose first write ends last, if nobody waits for it. */
function slowCache() {
  const entries = new Map();
  let writes = 0;
  const cache = {
    match: async (key) => entries.get(key)?.clone(),
    async put(key, response) {
      if (writes++ === 0) for (let i = 0; i < 10; i++) await pause();
      entries.set(key, response);
    },
  };
  return { open: async () => cache };
}

async function withoutGpu({ report, root, site }) {
  const file = site.path("label-parts.mjs");
  bundle(join(root, "pkg"), ["labels/index", "model"], file);
  const { LabelSets, Model } = await import(pathToFileURL(file));
  const group = report.group("equal labels at once, texts counted");
  const start = () => {
    const core = countingCore();
    const model = new Model(core);
    const sets = new LabelSets(model);
    /** A call as `Ocelli` makes it; its answer, or its error's code. */
    const outcome = (options, work) => model.call(options, work).catch(({ code }) => code);
    const classify = (names, options = {}, image = PICTURE) =>
      outcome(options, () => sets.classify(image, names, options));
    const labels = (names, options = {}) => outcome(options, () => sets.make(names, options));
    const codes = (answers) => [...new Set(answers.map((answer) => (Array.isArray(answer) ? "answer" : answer)))];
    return { core, sets, classify, labels, codes };
  };
  await shared(group, start);
  await failing(group, start);
  await stopped(group, start);
  await leftOff(group, start);
  await cached(group, start);
}

/** Work is joined, also where only some of it is the same. */
async function shared(group, start) {
  const { core, classify, codes } = start();
  const labels = fresh(16);
  const many = await Promise.all(times(100, () => classify(labels)));
  group.same("100 calls: texts, sets, answers", [core.texts, core.made, ...codes(many)], [16, 1, "answer"]);
  group.rejects("each for itself", [1600, 100, "answer"], [core.texts, core.made, ...codes(many)]);
  const scores = inOrder(many[0]).map((score) => score.toFixed(6));
  const right = labels.map((label) => (1 / (1 + Math.exp(-direction(label)[0]))).toFixed(6));
  group.same("their scores", scores, right);

  const some = start();
  const names = fresh(24);
  const calls = (i) => some.classify(i % 2 ? names.slice(0, 16) : names.slice(8), { templates: ["a {}", "the {}"] });
  const overlapping = await Promise.all(times(20, calls));
  group.same("some shared, two templates", [some.core.texts, ...some.codes(overlapping)], [48, "answer"]);

  const others = start();
  const sets = await Promise.all(times(2 * MANY_SETS, (i) => others.classify([`set ${i % MANY_SETS}`])));
  group.same("more sets than are kept", [others.core.texts, ...others.codes(sets)], [MANY_SETS, "answer"]);
  group.same("those that stay", [others.core.sets.size], [KEPT_SETS]);
  others.sets.dispose();
  await pause();
  group.same("those that stay after dispose()", [others.core.sets.size], [0]);
}

/** What failed is not kept: whoever waited for it fails, and the next call tries again. */
async function failing(group, start) {
  const { core, classify, codes } = start();
  const labels = fresh(16);
  core.failing.embedTexts = 1;
  const failed = await Promise.all(times(3, () => classify(labels)));
  group.same("no texts", [core.texts, ...codes(failed)], [16, "gpu"]);
  core.failing.addLabels = 1;
  group.same("no set", codes(await Promise.all(times(3, () => classify(labels)))), ["gpu"]);
  group.same(
    "the next call: texts, sets, answer",
    [...codes([await classify(labels)]), core.texts, core.made],
    ["answer", 32, 1],
  );
  const broken = await Promise.all(times(3, (i) => classify(labels, {}, i === 1 ? BROKEN : PICTURE)));
  group.same("a broken picture", [...codes(broken), core.texts, core.made], ["answer", "bad-image", 32, 1]);

  const large = start();
  const many = fresh(AT_ONCE + 88);
  large.core.failing.embedTexts = 2;
  group.same("the second part of many", large.codes([await large.labels(many)]), ["gpu"]);
  const before = large.core.texts;
  await large.labels(many);
  group.same("only that is asked for again", [large.core.texts - before], [88]);
}

/** Who stops waiting fails nobody else, and leaves no set behind. */
async function stopped(group, start) {
  const { core, classify, codes } = start();
  const labels = fresh(16);
  const stop = new AbortController();
  const calls = times(10, (i) => classify(labels, i === 0 ? { signal: stop.signal } : {}));
  stop.abort();
  group.same("the first of ten", [...codes(await Promise.all(calls)), core.texts], ["aborted", "answer", 16]);

  const alone = start();
  const late = new AbortController();
  const set = alone.labels(fresh(16), { signal: late.signal });
  late.abort();
  group.same("a set for its caller alone", [await set], ["aborted"]);
  for (let i = 0; i < 10; i++) await pause();
  group.same("is not made", [alone.core.made, alone.core.sets.size], [0, 0]);
  const later = new AbortController();
  const { addLabels } = alone.core;
  alone.core.addLabels = (rows) => (later.abort(), addLabels(rows));
  group.same("stopped while it is made", [await alone.labels(fresh(16), { signal: later.signal })], ["aborted"]);
  for (let i = 0; i < 10; i++) await pause();
  group.same("is freed", [alone.core.made, alone.core.sets.size], [1, 0]);
}

/** What nobody waits for any more is not worked on, part by part where the CPU works; and whoever comes then begins anew. */
async function leftOff(group, start) {
  const many = 3 * AT_ONCE;
  for (const backend of ["webgpu", "cpu"]) {
    const { core, classify, labels, codes } = start();
    core.info.backend = backend;
    const parts = [];
    const { embedTexts } = core;
    core.embedTexts = (texts) => (parts.push(texts.length), embedTexts(texts));
    const names = fresh(many);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = classify(names, { signal: one.signal });
    const second = labels(names, { signal: two.signal });
    await pause();
    one.abort();
    group.same(`${backend}: one of two is stopped`, codes([await first]), ["aborted"]);
    const soFar = core.texts;
    while (core.texts === soFar) await pause();
    group.holds(`${backend}: the other's work goes on`, core.texts < many, core.texts);
    two.abort();
    group.same(`${backend}: both are`, codes([await second]), ["aborted"]);
    // One part may be under way.
    await pause();
    const left = core.texts;
    const anew = classify(names.slice(-16));
    group.same(`${backend}: one that comes then`, codes([await anew]), ["answer"]);
    await pause();
    group.same(`${backend}: texts since`, [core.texts - left], [16]);
    group.rejects(`${backend}: all of them`, [many], [core.texts]);
    if (backend === "cpu")
      group.holds("parts are small at first", parts[0] === 1 && Math.max(...parts) < AT_ONCE, String(parts));
  }
}

/** Calls that end at once write all that is known, whichever of them ends last. */
async function cached(group, start) {
  globalThis.caches = slowCache();
  try {
    const names = fresh(24);
    const first = start();
    await Promise.all([first.classify(names.slice(0, 16)), first.classify(names.slice(8))]);
    group.same("texts of the first visit", [first.core.texts], [24]);
    const second = start();
    await second.classify(names);
    group.same("texts of the second visit", [second.core.texts], [0]);
  } finally {
    delete globalThis.caches;
  }
}
