// Florence-2: beams and greedy tokens are the reference's, and each task's answer is the native one; on the GPU, on the CPU and in a worker.
// Signals, and what is asked amiss.
import { readFileSync, writeFileSync } from "node:fs";
import { picture } from "../lib/finders.mjs";
import { full } from "../lib/full.mjs";

const FOLDER = "/fixtures/florence/";
const PICTURE = "rgb-61x37.png";
const BOX = { x: 5, y: 4, width: 30, height: 20 };
const WITH_TEXT = ["phrase-grounding", "open-vocabulary-detection", "referring-segmentation"];
const WITH_BOX = ["region-to-segmentation", "region-to-category", "region-to-description", "region-to-ocr"];
const WITH_NOTHING = [
  ...["caption", "detailed-caption", "more-detailed-caption", "object-detection", "dense-region-caption"],
  ...["region-proposal", "ocr", "ocr-with-region"],
];
const TASKS = [...WITH_NOTHING, ...WITH_TEXT, ...WITH_BOX];
/** One of each kind of answer, and of each kind of input. */
const FEW = ["object-detection", "ocr-with-region", "phrase-grounding", "region-to-segmentation", "region-to-category"];
const WHERE = { CPU: { backend: "cpu" }, worker: { backend: "cpu", worker: true }, GPU: { backend: "webgpu" } };

export async function florence(test) {
  const { report, native, server } = test;
  if (!native.exists) return report.skip("florence", native.missing);
  const golden = JSON.parse(readFileSync(`${test.fixtures.folder}/florence/golden.json`, "utf8"));
  const ask = (task, options = {}, act = {}, ...until) =>
    test.page.evaluate((a) => web.task("m", ...a), [picture(PICTURE), task, options, act, ...until]);
  const there = { ...test, golden, ask };
  const places = Object.entries(WHERE).filter(([where]) => where !== "GPU" || !server.search.includes("cpu"));
  for (const [where, options] of places) {
    await test.page.evaluate((a) => web.loadVlm("m", ...a), [FOLDER, options]);
    await searches({ ...there, where });
    await tasks({ ...there, where });
    if (where !== "GPU") await signals({ ...there, where });
    await test.page.evaluate(() => web.disposeVlm("m"));
  }
  await refused(there);
  await verified(there);
}

/** Tokens and scores by three beams and by two, and token by token, are those of transformers. */
async function searches({ page, report, golden, ask, where }) {
  const group = report.group(`florence: beams, ${where}`);
  const near = (name, found, expected) =>
    group.same(`${name}: score`, Math.abs(found - expected) <= 1e-5 || `${found}, expected ${expected}`, true);
  for (const { length, found } of golden.beams) {
    // The reference counts <s>, and has the end's token.
    const answer = await ask("caption", { maxTokens: length - 1 });
    const tokens = found[0].tokens.filter((token, at, all) => token !== 2 || at < all.length - 1);
    group.same(`${length}: tokens`, answer.tokens ?? answer.message, tokens);
    near(length, answer.score, found[0].score);
    group.rejects(`${length}: the second best`, answer.tokens ?? [], found[1].tokens.slice(0, tokens.length));
    group.same(`${length}: nothing is told before`, answer.told.length, 0);
  }
  const [first] = golden.beams;
  const { length } = golden.ngram;
  const greedy = await ask("caption", { maxTokens: length, beams: 1 });
  group.same("one beam: tokens", greedy.tokens ?? greedy.message, golden.ngram);
  group.same(
    "one beam: told",
    greedy.told.map(({ id }) => id),
    golden.ngram,
  );
  group.same("one beam: no score", greedy.score === undefined, true);
  const beams = await ask("caption", { maxTokens: length });
  group.rejects("beams, token by token", beams.tokens ?? [], golden.ngram);
  const { tokens } = await ask("caption", { maxTokens: first.length - 1, beams: 2 });
  group.holds("two beams", tokens?.length > 0, JSON.stringify(tokens));
  // The other calls write in the same way.
  const image = picture(PICTURE);
  const how = { maxTokens: length };
  const calls = {
    caption: await page.evaluate((a) => web.caption("m", ...a), [image, how]),
    generate: await page.evaluate((a) => web.write("m", ...a), [{ image, prompt: "<CAPTION>" }, how]),
    ask: await page.evaluate((a) => web.askAbout("m", ...a), [image, "What does the image describe?", how]),
  };
  for (const [call, { tokens, score, message }] of Object.entries(calls)) {
    group.same(`${call}: tokens`, tokens ?? message, beams.tokens);
    near(call, score, beams.score);
  }
  const streamed = await page.evaluate((a) => web.streamed("m", ...a), [{ image, prompt: "<CAPTION>" }, how]);
  group.same("a stream has one part", streamed.parts, [calls.generate.text]);
  const parts = await page.evaluate(
    (a) => web.streamed("m", ...a),
    [
      { image, prompt: "<CAPTION>" },
      { ...how, beams: 1 },
    ],
  );
  group.holds("with one beam it has many", parts.parts.length > 4, parts.parts.length);
  group.rejects("one part", parts.parts, streamed.parts);
}

/** Answers as natively: words, boxes, polygons, quadrilaterals. */
async function tasks({ page, report, native, fixtures, where }) {
  const group = report.group(`florence: tasks, ${where}`);
  const same = (name, actual, expected) =>
    group.same(name, JSON.stringify(actual ?? null), JSON.stringify(expected ?? null));
  const seen = { text: 0, boxes: 0, quad: 0, polygons: 0 };
  const edges = [BOX.x, BOX.y, BOX.x + BOX.width, BOX.y + BOX.height].join();
  const folder = fixtures.model("florence");
  for (const task of full || where === "CPU" ? TASKS : FEW) {
    const [options, args] = WITH_TEXT.includes(task)
      ? [{ text: "a black cat" }, ["--text", "a black cat"]]
      : WITH_BOX.includes(task)
        ? [{ box: BOX }, ["--region", edges]]
        : [{}, []];
    const image = task === "ocr-with-region" ? "wide-230x11.png" : PICTURE;
    const maxTokens = task === "ocr-with-region" ? 120 : 48;
    const given = ["--model", folder, "--task", task, "--max-tokens", `${maxTokens}`, ...args, fixtures.image(image)];
    const [expected] = native.run("task", ...given);
    const found = await page.evaluate((a) => web.task("m", ...a), [picture(image), task, { maxTokens, ...options }]);
    same(`${task}: ${found.message ?? "text"}`, found.text, expected.text);
    same(`${task}: regions`, found.regions, expected.regions?.map(pointed));
    same(`${task}: finish`, found.finish, expected.finish);
    group.holds(`${task}: score`, Math.abs(found.score - expected.score) <= 1e-5, found.score);
    if (found.text) seen.text++;
    for (const region of found.regions ?? []) seen[region.quad ? "quad" : region.polygons ? "polygons" : "boxes"]++;
    if (found.regions?.length)
      group.rejects(
        `${task}: without corners`,
        JSON.stringify(found.regions),
        JSON.stringify(expected.regions.map(moved)),
      );
  }
  for (const [what, count] of Object.entries(seen)) group.holds(`some ${what}`, count > 0, count);
  const elsewhere = { ...BOX, x: 20 };
  const [here, there] = await Promise.all(
    [BOX, elsewhere].map((box) =>
      page.evaluate((a) => web.task("m", ...a), [picture(PICTURE), "region-to-segmentation", { box, maxTokens: 48 }]),
    ),
  );
  group.rejects("another box", JSON.stringify(there.tokens), JSON.stringify(here.tokens));
}

/** As the package has corners: in pairs. */
function pointed({ label, box, quad, polygons }) {
  const pairs = (numbers) => numbers.flatMap((x, at) => (at % 2 ? [] : [[x, numbers[at + 1]]]));
  return { label, box, ...(quad && { quad: pairs(quad) }), ...(polygons && { polygons: polygons.map(pairs) }) };
}

/** A little to the right. */
const moved = (region) => pointed({ ...region, box: { ...region.box, x: region.box.x + 1 } });

/** At the first turns of the event loop, and at tokens; the next answer is right. */
async function signals({ report, ask, where }) {
  const group = report.group(`florence: signals, ${where}`);
  const how = { maxTokens: 24 };
  const { tokens } = await ask("object-detection", how);
  const codes = new Set();
  for (const turns of [0, 1, 2, 4, 8, 16, 32, 64]) {
    const { code, tokens: ended } = await ask("object-detection", how, {}, turns);
    codes.add(code);
    if (ended) group.same(`after ${turns} turns: ended before`, ended, tokens);
    else group.same(`after ${turns} turns`, code, "aborted");
    group.same(`after ${turns} turns: the next`, (await ask("object-detection", how)).tokens, tokens);
  }
  group.holds("some were stopped", codes.has("aborted"), [...codes].join());
  const stopped = await ask("object-detection", { ...how, beams: 1 }, { at: 3, act: "abort" });
  group.same("at token 3", [stopped.code, stopped.told.length], ["aborted", 3]);
  group.same("the next", (await ask("object-detection", how)).tokens, tokens);
  group.rejects("by one beam", (await ask("object-detection", { ...how, beams: 1 })).tokens, tokens);
}

async function refused({ page, report, ask, native }) {
  const group = report.group("florence: what is refused");
  const load = (folder) => page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folder);
  const right = (name, { code, message = "" }, expected, word) =>
    group.same(name, [code, message.includes(word) ? word : message], [expected, word]);
  await load(FOLDER);
  const bad = "bad-input";
  right("another task", await ask("find"), bad, `expected one of ${TASKS_IN_ORDER.join(", ")}, found "find"`);
  right("a name of every object", await ask("toString"), bad, "expected one of");
  right("no text", await ask("phrase-grounding"), bad, "text: expected words");
  right("an empty text", await ask("open-vocabulary-detection", { text: " " }), bad, "text: expected words");
  right("a number", await ask("referring-segmentation", { text: 7 }), bad, "found 7");
  right("no box", await ask("region-to-ocr"), bad, "box: expected x, y, width and height");
  right("an empty box", await ask("region-to-ocr", { box: { ...BOX, width: 0 } }), bad, "box: expected");
  right("a text for none", await ask("caption", { text: "a cat" }), bad, "text: expected none");
  right("a box for none", await ask("ocr", { box: BOX }), bad, "box: expected none");
  right("no beams", await ask("caption", { beams: 0 }), bad, "beams: expected a whole number of at least 1");
  right("more beams than there are", await ask("caption", { beams: 4 }), bad, "beams: expected 1 to 3, found 4");
  const write = (prompt, options) => page.evaluate((a) => web.write("m", ...a), [prompt, options]);
  const image = picture(PICTURE);
  const drawn = await write({ image, prompt: "<CAPTION>" }, { beams: 3, temperature: 1 });
  right("beams that are drawn", drawn, bad, "beams: expected 1 or none");
  right("a task without its words", await write({ image, prompt: "<OPEN_VOCABULARY_DETECTION>" }), bad, "words");
  const talk = ["user", "assistant", "user"].map((role) => ({ role, content: "a" }));
  right("a conversation", await write({ messages: talk }), bad, "holds no conversation");
  const located = await page.evaluate((a) => web.located("m", "detect", ...a), [image, ["cat"]]);
  right("labels", located, "wrong-model", '"open-vocabulary-detection"');
  const after = await ask("caption", { maxTokens: 4 });
  group.holds("the call after them", after.tokens?.length > 0, JSON.stringify(after));
  await load("/fixtures/decoders/smolvlm/");
  right("a model without tasks", await ask("caption"), "wrong-model", "call caption, ask or generate");
  right("and without beams", await write({ image, prompt: "a" }, { beams: 3 }), "wrong-model", "leave beams out");
  const one = await write({ image, prompt: "a" }, { beams: 1, maxTokens: 2 });
  group.holds("with one it writes", one.tokens?.length > 0, JSON.stringify(one));
  group.rejects("a code", (await ask("caption")).code, bad);
  let said = "";
  try {
    native.write("task", "--model", "x", "--task", "find", "x.png");
  } catch (error) {
    said = String(error.stderr);
  }
  group.holds("natively the same tasks", said.includes(`expected ${TASKS_IN_ORDER.join(", ")}, found`), said);
}

/** As the engine has them. */
const TASKS_IN_ORDER = [
  ...["caption", "detailed-caption", "more-detailed-caption", "object-detection", "dense-region-caption"],
  ...["region-proposal", ...WITH_TEXT, ...WITH_BOX, "ocr", "ocr-with-region"],
];

/** The self-check of a quantised copy, with goldens of its own. */
async function verified({ page, report, native, fixtures, site }) {
  const group = report.group("florence: verify");
  native.quantize(fixtures.model("florence"), site.path("florence-q8"), "q8");
  const check = async () => {
    await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), site.url("florence-q8/"));
    return (await page.evaluate(() => web.verifyVlm("m"))).value;
  };
  const said = ({ ok, goldens, off }) => JSON.stringify({ ok, goldens, off });
  const sound = said({ ok: true, goldens: true, off: null });
  const found = await check();
  group.same("a sound model", said(found), sound);
  const names = found.checks.map(({ name }) => name);
  group.holds("what follows the text, too", names.includes("written"), names.at(-1));
  const path = site.path("florence-q8/goldens.json");
  const goldens = JSON.parse(readFileSync(path, "utf8"));
  goldens.written[6] += 1;
  writeFileSync(path, JSON.stringify(goldens));
  group.rejects("another token", said(await check()), sound);
}
