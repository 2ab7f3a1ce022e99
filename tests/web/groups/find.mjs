// Detectors and segmenters: the reference's logits, boxes, masks and detections, on the GPU, on the CPU and in a worker; and what is
// asked amiss.
import { findBoxes } from "./find-boxes.mjs";
import { findMasks } from "./find-masks.mjs";
import { findNative } from "./find-native.mjs";
import { findSets } from "./find-sets.mjs";
import { picture } from "../lib/finders.mjs";

export async function find(test) {
  await findBoxes(test);
  await findMasks(test);
  await findSets(test);
  await findNative(test);
  await refused(test);
}

const RGB = picture("rgb-61x37.png");

/** What cannot be: its code, and a word that says why. */
async function refused({ page, report, server }) {
  const group = report.group("find: what cannot be");
  const load = (name, kind, folder, options) =>
    page.evaluate((a) => web.attempt(() => web.loadFinder(...a)), [name, kind, `/fixtures/${folder}/`, options]);
  const is = (name, { code, message = "" } = {}, expected, word) => {
    group.same(name, code ?? "no error", expected);
    group.rejects(`${name}: another code`, code ?? "no error", "internal");
    group.holds(`${name}: says ${word}`, message.includes(word), message);
  };
  for (const [kind, folder, word] of [
    ["detect", "clip", "can classify and embed"],
    ["detect", "clipseg", "can segment"],
    ["segment", "owlv2", "can detect"],
    ["segment", "siglip", "can classify and embed"],
  ])
    is(`${kind} by ${folder}`, await load("wrong", kind, folder, { backend: "cpu" }), "wrong-model", word);
  await page.evaluate(() => web.load("embedder", "/fixtures/owlv2/", { backend: "cpu" }));
  for (const [method, more] of [
    ["classify", [["a cat", "a dog"]]],
    ["embedImage", []],
  ])
    is(
      `${method} by owlv2`,
      await page.evaluate(([m, p, o]) => web.attempt(() => web[m]("embedder", p, ...o)), [method, RGB, more]),
      "wrong-model",
      "can detect",
    );
  for (const [folder, canvas, word] of [
    ["owlv2", 26, "canvas"],
    ["owlv2", "27", "canvas"],
    ["owlvit", 48, "canvas"],
  ])
    is(`canvas ${canvas} of ${folder}`, await load("wrong", "detect", folder, { canvas }), "bad-input", word);
  await load("d", "detect", "owlv2", { backend: "cpu" });
  await load("s", "segment", "clipseg", { backend: "cpu" });
  const ask = (method, ...more) => page.evaluate((a) => web.attempt(() => web[a[0]](...a.slice(1))), [method, ...more]);
  for (const [options, word] of [
    [{ threshold: 1.5 }, "threshold"],
    [{ threshold: "0.1" }, "threshold"],
    [{ nms: -1 }, "nms"],
    [{ topK: 0 }, "topK"],
    [{ topK: 2.5 }, "topK"],
    [{ clip: 1 }, "clip"],
    [{ template: "a photo" }, "template"],
  ])
    is(`detect, ${JSON.stringify(options)}`, await ask("detect", "d", RGB, ["a cat"], options), "bad-input", word);
  // Sets of labels are kept by their words; an example has none.
  for (const labels of [[], [""], [{ label: "x", image: RGB }]])
    is(`detect, ${JSON.stringify(labels)}`, await ask("detect", "d", RGB, labels), "bad-input", "labels");
  for (const [queries, word] of [
    [[], "queries"],
    [[""], "queries[0]"],
    [["a cat", 7], "queries[1]"],
    [[{ label: "x" }], "text or image"],
    [[{ label: "x", image: RGB, box: { x: 1, y: 2 } }], "box"],
    [[{ label: "x", image: RGB, box: { x: 70, y: 2, width: 5, height: 5 } }], "box"],
    [[{ negative: true, image: RGB }], "not negative"],
  ])
    is(`queries, ${JSON.stringify(queries)}`, await ask("queries", "d", "set", queries), "bad-input", word);
  is(
    "thresholds of others",
    await ask("queries", "d", "set", ["a"], { thresholds: { b: 1 } }),
    "bad-input",
    "thresholds",
  );
  for (const [prompts, options, word] of [
    [[], {}, "prompts"],
    [["a", ""], {}, "prompts"],
    [["a"], { threshold: 2 }, "threshold"],
    [["a"], { size: "full" }, "size"],
    [[RGB], {}, "picturePrompts"],
  ])
    is(
      `segment, ${JSON.stringify([prompts, options])}`,
      await ask("segment", "s", RGB, prompts, options),
      "bad-input",
      word,
    );
  const endless = { width: 2 ** 20, height: 2 ** 20, features: [] };
  for (const data of [null, {}, endless, { width: 1, height: 1, features: [[1]] }])
    is(`scene, ${JSON.stringify(data)}`, await ask("badScene", "d", data), "bad-input", "scene");
  await page.evaluate((p) => web.look("s", "a segmenter's", p), RGB);
  await page.evaluate(() => web.copyScene("d", "a segmenter's", "foreign"));
  is("another model's scene", await ask("detectIn", "foreign", ["a cat"]), "bad-input", "scene");
  await withoutWords({ page, load, ask, is });
  is("a file of something else", await ask("loadQueries", "d", "nothing"), "bad-input", "queries file");
  for (const when of ["before", "during"])
    for (const [name, method] of [
      ["d", "detect"],
      ["s", "segment"],
    ]) {
      const stopped = await ask("stoppedFind", name, method, RGB, ["a cat"], when);
      is(`${method}, stopped ${when}`, stopped.value, "aborted", "aborted");
    }
  group.same("the next call works", (await ask("detect", "d", RGB, ["a cat"], { threshold: 0 })).value?.length, 25);
  await page.evaluate(() => web.queries("d", "held", ["a cat"]));
  group.same("disposed of while asked", await ask("disposedWhileAsked", "d", "held", RGB).then(({ value }) => value), [
    25,
    "disposed",
    "disposed",
  ]);
  await page.evaluate(() => web.disposeFinder("s"));
  await untouched({ load, server, group });
}

/** Boxes without words. */
async function withoutWords({ page, load, ask, is }) {
  await page.evaluate((p) => web.look("d", "seen", p), RGB);
  for (const [options, word] of [
    [{ threshold: 2 }, "threshold"],
    [{ nms: "0.5" }, "nms"],
    [{ topK: 0 }, "topK"],
    [{ normalized: 1 }, "normalized"],
  ])
    is(`objects, ${JSON.stringify(options)}`, await ask("objectsIn", "seen", options), "bad-input", word);
  is("objects in another model's scene", await ask("objectsIn", "foreign"), "bad-input", "scene");
  await load("first", "detect", "owlvit", { backend: "cpu" });
  await page.evaluate((p) => web.look("first", "without objectness", p), RGB);
  is("objects by owlvit", await ask("objectsIn", "without objectness"), "wrong-model", "load owlv2");
  await page.evaluate(() => web.disposeFinder("first"));
}

/** A model that cannot do what is asked costs its weights nothing. */
async function untouched({ load, server, group }) {
  server.sent.length = 0;
  await load("wrong", "detect", "siglip", { backend: "cpu", towers: "vision" });
  const bytes = server.sent.filter(({ path }) => path.endsWith(".safetensors")).map(({ bytes }) => bytes);
  group.holds("no weights of a wrong model", Math.max(0, ...bytes) < 100_000, JSON.stringify(bytes));
}
