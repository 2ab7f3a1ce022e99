// What detectors answer, against tests/fixtures (owlvit, owlv2, owlv2-scale).
import { ALL, everywhere, picture, tables, word } from "../lib/finders.mjs";
import { watchLife } from "../lib/life.mjs";
import { distance, largest } from "../lib/report.mjs";
import { frames } from "./find-frames.mjs";

/** Of the distance between unrelated pictures. */
const LOGITS = 1e-5;
/** Of the canvas. */
const BOXES = 1e-6;
/** The picture whose shape tells scales apart. */
const WIDE = "rgb-61x37.png";

export async function findBoxes(test) {
  await everywhere(test, "detect", ["owlv2", "owlvit", "owlv2-scale"], async (model, where, load) => {
    const info = await load();
    const golden = test.fixtures.golden(model);
    await answers(test, { model, where, golden, info });
    if (golden.detections) await detections(test, { model, where, golden });
    if (golden.images[WIDE].objectness) await objects(test, { model, where, golden });
    if (model === "owlv2") await frames(test, { model, where, golden });
    if (where === "GPU") await written(test, { model });
    if (where !== "CPU") return;
    if (golden.templates) await templates(test, { model, golden });
    if (golden.guided) await guided(test, { model, golden });
    await sets(test, { model, golden });
    if (golden.canvas) await canvas(test, { model, golden, load });
  });
  await lost(test);
}

/** Pixels that a share of the square is of. */
const extentOf = (family, { width, height }) =>
  family === "owlv2" ? [Math.max(width, height), Math.max(width, height)] : [width, height];

async function answers({ page, report }, { model, where, golden, info }) {
  const name = `${model} on the ${where}`;
  const unit = golden.unrelated_distance;
  const logits = report.group(`${name}: logits`, (a, b) => distance(a, b) / unit.logits, LOGITS);
  const boxes = report.beside(`${name}: boxes`, largest, BOXES);
  logits.holds("what it can do", JSON.stringify(info.tasks) === '["detect"]', JSON.stringify(info.tasks));
  logits.holds("its family", info.family === (model === "owlvit" ? "owlvit" : "owlv2"), info.family);
  const labels = golden.texts.map(({ text }) => word(text));
  await page.evaluate(([m, l]) => web.queries(m, "all", l), [model, labels]);
  const images = Object.entries(golden.images);
  for (const [at, [image, right]] of images.entries()) {
    const scene = await page.evaluate(([m, i, p]) => web.look(m, i, p), [model, image, picture(image)]);
    const found = await page.evaluate(([i, o]) => web.detectIn(i, "all", o), [image, ALL]);
    const other = images[(at + 1) % images.length][1];
    const made = tables(found, labels.length, extentOf(info.family, scene));
    logits.same(image, made.logits, right.logits.flat());
    logits.rejects(`${image}: another picture`, made.logits, other.logits.flat());
    boxes.same(image, made.boxes, right.boxes.flat());
    boxes.rejects(`${image}: another picture`, made.boxes, other.boxes.flat());
    const scaled = tables(found, labels.length, extentOf(info.family === "owlv2" ? "owlvit" : "owlv2", scene));
    if (scene.width !== scene.height)
      boxes.rejects(`${image}: the other family's scale`, scaled.boxes, right.boxes.flat());
  }
}

/** Boxes without words. */
async function objects({ page, report }, { model, where, golden }) {
  const unit = golden.unrelated_distance.objectness;
  const logits = report.group(`${model} on the ${where}: objectness`, (a, b) => distance(a, b) / unit, LOGITS);
  const boxes = report.beside(`${model} on the ${where}: boxes without words`, largest, BOXES);
  const images = Object.entries(golden.images);
  const ask = (image, options) => page.evaluate(([i, o]) => web.objectsIn(i, o), [image, options]);
  const table = (found, scene) =>
    tables(
      found.map((one) => ({ ...one, index: 0 })),
      1,
      extentOf("owlv2", scene),
    );
  for (const [at, [image, right]] of images.entries()) {
    const scene = await page.evaluate(([m, i, p]) => web.look(m, i, p), [model, image, picture(image)]);
    const other = images[(at + 1) % images.length][1];
    const made = table(await ask(image, { clip: false }), scene);
    logits.same(image, made.logits, right.objectness);
    logits.rejects(`${image}: another picture`, made.logits, other.objectness);
    boxes.same(image, made.boxes, right.boxes.flat());
    boxes.rejects(`${image}: another picture`, made.boxes, other.boxes.flat());
  }
  const all = await ask(WIDE);
  const tokens = (found) => found.map(({ token }) => token);
  logits.holds(
    "best first",
    all.every(({ logit, score }, i) => (i === 0 || logit <= all[i - 1].logit) && score > 0 && score < 1),
  );
  logits.holds("no label", !("label" in all[0]) && !("index" in all[0]), Object.keys(all[0]).join());
  const chosen = report.beside(`${model} on the ${where}: which boxes without words`);
  chosen.same("topK", tokens(await ask(WIDE, { topK: 3 })), tokens(all.slice(0, 3)));
  const above = await ask(WIDE, { threshold: (all[3].score + all[4].score) / 2 });
  chosen.same("threshold", tokens(above), tokens(all.slice(0, 4)));
  chosen.rejects("threshold: all", tokens(above), tokens(all));
  const apart = await ask(WIDE, { nms: 0.3 });
  const places = tokens(apart).map((token) => tokens(all).indexOf(token));
  chosen.holds("nms", places[0] === 0 && places.every((place, i) => i === 0 || place > places[i - 1]), places.join());
  if (model === "owlv2") chosen.holds("nms: fewer", apart.length < all.length, apart.length);
  const shares = await ask(WIDE, { normalized: true });
  const inside = shares.every((one) => corners(one).every((edge) => edge >= 0 && edge <= 1 + 1e-12));
  chosen.holds("shares, clipped", inside && tokens(shares).join() === tokens(all).join());
}

/** What a scene's numbers cost the device: a set writes them with its first question about the scene, and with no other. */
async function written({ page, report }, { model }) {
  const group = report.group(`${model} on the GPU: bytes of a scene that are written`);
  const look = (scene, image) => page.evaluate(([m, s, p]) => web.look(m, s, p), [model, scene, picture(image)]);
  const { features } = await look("first", WIDE);
  await look("second", "tall-23x97.png");
  await page.evaluate(([m]) => web.queries(m, "words", ["a cat", "a dog"]), [model]);
  const ask = (scene) => page.evaluate((s) => web.writtenFor("words", s), scene);
  await ask("first");
  const again = await ask("first");
  // Class embeddings, and their shift and scale.
  const all = 4 * (features[1] + features[2]);
  group.same("another scene", [(await ask("second")) - again], [all]);
  group.same("the same scene", [(await ask("second")) - again], [0]);
  group.rejects("always", [again], [again + all]);
}

/** Of every detection its token and its label. */
const pairs = (found) => found.map(({ token, index }) => `${token} ${index}`).sort();
const byToken = (a, b) => a.token - b.token;
const corners = ({ box: { x, y, width, height } }) => [x, y, x + width, y + height];

/** After threshold, best label, suppression: the same as sets, with the same scores and boxes. */
async function detections({ page, report }, { model, where, golden }) {
  const same = report.group(`${model} on the ${where}: detections`);
  const near = report.beside(`${model} on the ${where}: scores and boxes`, largest, 2e-6);
  for (const { image, labels: given, threshold, found: right, multi_label, nms, width, height } of golden.detections) {
    const labels = given.map(word);
    const detect = (options) =>
      page.evaluate(
        ([m, p, l, o]) => web.detect(m, p, l, o),
        [model, picture(image), labels, { threshold, clip: false, ...options }],
      );
    const found = await detect({});
    const expected = right.map(({ token, label }) => `${token} ${label}`).sort();
    same.same(image, pairs(found), expected);
    same.rejects(`${image}: one less`, pairs(found), expected.slice(1));
    same.holds(
      `${image}: best first`,
      found.every(({ logit }, i) => i === 0 || logit <= found[i - 1].logit),
    );
    same.holds(
      `${image}: labels`,
      found.every(({ label, index }) => label === labels[index]),
    );
    same.same(
      `${image}: several labels`,
      pairs(await detect({ multiLabel: true })),
      multi_label.map((p) => p.join(" ")).sort(),
    );
    if (nms) {
      const left = pairs(await detect({ nms: nms.iou }));
      same.same(
        `${image}: suppressed`,
        left,
        expected.filter((pair) => nms.tokens.includes(Number(pair.split(" ")[0]))),
      );
      if (nms.tokens.length < right.length) same.rejects(`${image}: nothing suppressed`, left, expected);
    }
    same.same(`${image}: the best two`, pairs(await detect({ topK: 2 })), pairs(found.slice(0, 2)));
    const extent = Math.max(width, height);
    const numbers = (all, place) => all.flatMap((one) => [one.score, ...place(one).map((edge) => edge / extent)]);
    const ours = numbers([...found].sort(byToken), corners);
    near.same(
      image,
      ours,
      numbers(right, ({ box }) => box),
    );
    near.rejects(
      `${image}: other boxes`,
      ours,
      numbers(right, ({ box: [l, t, r, b] }) => [t, l, b, r]),
    );
    const clipped = await detect({ clip: true, normalized: true });
    const inside = clipped.every((one) => corners(one).every((edge) => edge >= 0 && edge <= 1 + 1e-12));
    same.holds(`${image}: clipped shares lie in the picture`, inside);
  }
}

/** Means of unit queries, not of unit length again. */
async function templates({ page, report }, { model, golden }) {
  const { image, templates, names, logits } = golden.templates;
  const unit = golden.unrelated_distance.logits;
  const group = report.group(`${model}: templates`, (a, b) => distance(a, b) / unit, 2 * LOGITS);
  const ask = async (options) => {
    await page.evaluate(([m, n, o]) => web.queries(m, "templates", n, o), [model, names, options]);
    const found = await page.evaluate(([m, p, o]) => web.detect(m, p, "templates", o), [model, picture(image), ALL]);
    return tables(found, names.length, [1, 1]).logits;
  };
  group.same("mean", await ask({ templates }), logits.flat());
  group.rejects("the first one alone", await ask({ template: templates[0] }), logits.flat());
}

/** By an example. */
async function guided({ page, report }, { model, golden }) {
  // The unit is of all labels' logits, here is one.
  const unit = golden.unrelated_distance.logits / Math.sqrt(golden.texts.length);
  const group = report.group(`${model}: by an example`, (a, b) => distance(a, b) / unit, 3 * LOGITS);
  for (const { query, target, logits } of golden.guided) {
    await page.evaluate(([m, p]) => web.queries(m, "it", [{ label: "it", image: p }]), [model, picture(query)]);
    const found = await page.evaluate(([m, p, o]) => web.detect(m, p, "it", o), [model, picture(target), ALL]);
    const made = tables(found, 1, [1, 1]).logits;
    group.same(`${query} in ${target}`, made, logits);
    group.rejects(`${query} in ${target}: the other way round`, made, [...logits].reverse());
  }
  await shared({ page, group, model });
}

/** Several examples of one label, one of what is not meant, a scene, a part of a picture. */
async function shared({ page, group, model }) {
  const [one, two, third] = ["rgb-61x37.png", "tall-23x97.png", "rgba-40x53.png"].map(picture);
  const box = { x: 2, y: 3, width: 30, height: 20 };
  const ask = async (queries, options = {}) => {
    const labels = await page.evaluate(([m, q]) => web.queries(m, "mixed", q), [model, queries]);
    group.holds("labels", labels.length === new Set(labels).size, labels.join());
    return page.evaluate(([m, p, o]) => web.detect(m, p, "mixed", o), [model, third, { threshold: 0, ...options }]);
  };
  await page.evaluate(([m, p]) => web.look(m, "seen", p), [model, one]);
  const first = await ask([{ label: "it", image: one, box }]);
  const ofScene = await ask([{ label: "it", scene: "seen", box }]);
  group.holds("an example in a scene", JSON.stringify(first) === JSON.stringify(ofScene));
  const second = await ask([{ label: "it", image: two }]);
  const both = await ask([
    { label: "it", image: one, box },
    { label: "it", image: two },
  ]);
  const logitsOf = (found) => [...found].sort(byToken).map(({ logit }) => logit);
  const best = logitsOf(first).map((logit, i) => Math.max(logit, logitsOf(second)[i]));
  group.same("the best of two examples", logitsOf(both), best);
  const without = await ask([
    { label: "it", image: one, box },
    { negative: true, image: two },
  ]);
  const meant = logitsOf(first).filter((logit, i) => logit > logitsOf(second)[i]);
  group.holds("what is not meant", without.length === meant.length, `${without.length} of ${meant.length}`);
}

/** Sets: thresholds, files, scenes that move, many questions at once. */
async function sets({ page, report, server }, { model, golden }) {
  const group = report.group(`${model}: sets and scenes`);
  const labels = golden.texts.slice(0, 3).map(({ text }) => word(text));
  const image = Object.keys(golden.images)[0];
  await page.evaluate(([m, l]) => web.queries(m, "plain", l), [model, labels]);
  await page.evaluate(([m, i, p]) => web.look(m, i, p), [model, image, picture(image)]);
  const ask = (set, options = { threshold: 0 }) =>
    page.evaluate(([i, s, o]) => web.detectIn(i, s, o), [image, set, options]);
  const all = await ask("plain");
  group.same("labels or a set", pairs(await ask(labels)), pairs(all));
  const [best] = all;
  const thresholds = { [best.label]: best.score + 1e-6 };
  await page.evaluate(([m, l, o]) => web.queries(m, "own", l, o), [model, labels, { thresholds }]);
  const kept = all.filter(({ index }) => index !== best.index);
  const above = pairs(await ask("own"));
  group.same("a label's own threshold", above, pairs(kept));
  group.rejects("a label's own threshold: all", above, pairs(all));
  await page.evaluate(([m, i]) => web.copyScene(m, i, `${i}, a copy`), [model, image]);
  const copy = await page.evaluate(([i]) => web.detectIn(`${i}, a copy`, "plain", { threshold: 0 }), [image]);
  group.same("a scene that was elsewhere", JSON.stringify(copy), JSON.stringify(all));
  const names = Object.keys(golden.images).slice(0, 3);
  for (const name of names) await page.evaluate(([m, i, p]) => web.look(m, i, p), [model, name, picture(name)]);
  const lists = ["plain", "own", labels.slice(0, 1), "plain"];
  const alone = [];
  for (const name of names)
    for (const list of lists)
      alone.push(await page.evaluate(([i, l]) => web.detectIn(i, l, { threshold: 0 }), [name, list]));
  const together = await page.evaluate(([n, l]) => web.detectAtOnce(n, l, { threshold: 0 }), [names, lists]);
  group.same("many questions at once", JSON.stringify(together), JSON.stringify(alone));
  // Moved to a detector without words, which fetches none of theirs.
  const here = `/fixtures/${model}/`;
  server.sent.length = 0;
  await page.evaluate(
    ([f]) => web.loadFinder("without words", "detect", f, { backend: "cpu", towers: "vision" }),
    [here],
  );
  const moved = await page.evaluate(([m]) => web.movedQueries(m, "own", "moved").catch((e) => e.code), [model]);
  group.same("saved and loaded: labels", moved, labels);
  await page.evaluate(() => web.movedQueries("without words", "own", "there"));
  const found = await page.evaluate(
    ([p]) => web.detect("without words", p, "there", { threshold: 0 }),
    [picture(image)],
  );
  group.same("without the text tower", pairs(found), pairs(kept));
  const fetched = server.sent.map(({ path }) => path).filter((path) => path.endsWith("/tokenizer.json"));
  group.holds("no tokenizer", fetched.length === 0, fetched.join());
  await page.evaluate(() => web.disposeFinder("without words"));
}

/** On a smaller square. */
async function canvas({ page, report }, { model, golden, load }) {
  const { side, images } = golden.canvas;
  const group = report.group(
    `${model}: canvas ${side}`,
    (a, b) => distance(a, b) / golden.unrelated_distance.logits,
    LOGITS,
  );
  const info = await load({ canvas: side });
  group.holds("said", info.imageSize === side, info.imageSize);
  const labels = golden.texts.map(({ text }) => word(text));
  for (const [image, right] of Object.entries(images)) {
    const found = await page.evaluate(([m, p, l, o]) => web.detect(m, p, l, o), [model, picture(image), labels, ALL]);
    const { logits } = tables(found, labels.length, [1, 1]);
    group.same(image, logits, right.logits.flat());
    group.rejects(`${image}: at full size`, logits, golden.images[image].logits.flat());
  }
}

/** A worker that ends, or a device that goes, takes neither scenes nor sets with it. */
async function lost({ browser, server, report, fixtures }) {
  const group = report.group("owlv2: what outlives a loss");
  const golden = fixtures.golden("owlv2");
  const labels = golden.texts.slice(0, 3).map(({ text }) => word(text));
  const page = await browser.newPage();
  await page.addInitScript(watchLife);
  await page.goto(server.page);
  const ends = {
    worker: () => life.workers.at(-1).dispatchEvent(new ErrorEvent("error", { message: "out of memory" })),
    device: () => life.device().destroy(),
  };
  for (const [what, end] of Object.entries(ends)) {
    const options = what === "worker" ? { backend: "cpu", threads: 1, worker: true } : { backend: "webgpu" };
    await page.evaluate((o) => web.loadFinder("lost", "detect", "/fixtures/owlv2/", o), options);
    await page.evaluate((p) => web.look("lost", "kept", p), picture("rgb-61x37.png"));
    await page.evaluate((l) => web.queries("lost", "kept", l), labels);
    const ask = () => page.evaluate(() => web.attempt(() => web.detectIn("kept", "kept", { threshold: 0 })));
    const before = await ask();
    group.holds(`a ${what}: finds something`, before.value?.length === 25, before.message);
    const happened = page.evaluate(() => web.happenedTo("lost", "devicelost"));
    await page.evaluate(end);
    await happened;
    const after = await ask();
    group.same(`a ${what}: the same answer`, JSON.stringify(after.value), JSON.stringify(before.value));
    group.rejects(`a ${what}: no answer`, JSON.stringify([]), JSON.stringify(before.value));
    await page.evaluate(() => web.disposeFinder("lost"));
  }
  await page.close();
}
