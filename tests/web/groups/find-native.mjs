// What is found in the browser is what the command line finds: detections, run lengths, labels that are cut; and in q8, which the browser
// quantises while it loads, what the quantised folder finds.
import { picture } from "../lib/finders.mjs";

const LABELS = ["a photo of a cat", "TWO DOGS IN THE SNOW", "a cup"];
const IMAGES = ["rgb-61x37.png", "tall-23x97.png", "large-211x140.png"];
const FORMATS = ["none", "q8"];

export async function findNative(test) {
  const { report, fixtures, native, site } = test;
  const title = "find: as on the command line";
  if (!native.exists) return report.skip(title, native.missing);
  const folders = (model) => {
    const [whole, small] = [fixtures.model(model), site.path(`${model}-q8`)];
    native.quantize(whole, small, "q8");
    return { none: whole, q8: small };
  };
  await detected(test, report.group(title), folders("owlv2"));
  await segmented(test, report.group(`${title}, masks`), folders("clipseg-refined"));
  await cut(test, report.group(`${title}, what is cut`));
}

/** Runs a command for all pictures. */
const run = ({ native, fixtures }, command, folder, labels, more) =>
  native.run(
    ...[command, "--backend", "cpu", "--model", folder, "--labels", labels.join(), ...more],
    ...IMAGES.map((name) => fixtures.image(name)),
  );

/** What each format finds in each picture here, and on the command line. */
async function both(test, kind, model, folders, more, options) {
  const all = [];
  for (const format of FORMATS) {
    const theirs = run(test, kind, folders[format], LABELS, more);
    const load = { backend: "cpu", format };
    await test.page.evaluate((a) => web.loadFinder(...a), [model, kind, `/fixtures/${model}/`, load]);
    for (const [at, image] of IMAGES.entries()) {
      const given = [kind, model, picture(image), LABELS, options];
      const ours = await test.page.evaluate(([k, ...a]) => web[k](...a), given);
      all.push({ format, image, ours, theirs: theirs[at] });
    }
  }
  await test.page.evaluate((m) => web.disposeFinder(m), model);
  return all;
}

async function detected(test, group, folders) {
  const more = ["--threshold", "0.05", "--nms", "0.5", "--top-k", "12"];
  const all = await both(test, "detect", "owlv2", folders, more, { threshold: 0.05, nms: 0.5, topK: 12 });
  for (const { format, image, ours, theirs } of all) {
    const [here, there] = [ours, theirs.detections].map((found) => found.map(shown));
    group.holds(`${format}, ${image}: something is found`, there.length > 1, there.length);
    group.same(`${format}, ${image}`, here, there);
    group.rejects(`${format}, ${image}: the best left out`, here.slice(1), there);
    const other = all.find((one) => one.image === image && one.format !== format);
    group.rejects(`${format}, ${image}: another format`, here, other.theirs.detections.map(shown));
  }
}

async function segmented(test, group, folders) {
  const all = await both(test, "segment", "clipseg-refined", folders, ["--threshold", "0.45"], { threshold: 0.45 });
  const rows = (masks) => masks.map((mask) => JSON.stringify([mask.label, mask.area, mask.rle]));
  for (const { format, image, ours, theirs } of all) {
    group.same(`${format}, ${image}`, rows(ours), rows(theirs.masks));
    const other = all.find((one) => one.image === image && one.format !== format);
    if (other.theirs.masks.some(({ area }, i) => area !== theirs.masks[i].area))
      group.rejects(`${format}, ${image}: another format`, rows(ours), rows(other.theirs.masks));
  }
}

/** Labels whose texts do not fit are the same ones. */
async function cut({ page, native, fixtures }, group) {
  // The command line takes the spaces around labels off.
  const labels = fixtures.golden("owlv2").texts.flatMap(({ text }) => (text && text === text.trim() ? [text] : []));
  const quoted = labels.map((label) => `"${label.replaceAll('"', '""')}"`);
  const ask = (more) => {
    const image = fixtures.image(IMAGES[0]);
    const common = ["detect", "--backend", "cpu", "--model", fixtures.model("owlv2"), "--labels", quoted.join()];
    return native.run(...common, ...more, image)[0].cut;
  };
  await page.evaluate(() => web.loadFinder("words", "detect", "/fixtures/owlv2/", { backend: "cpu" }));
  for (const template of ["{}", "a photo of a {}"]) {
    const theirs = ask(["--template", template]);
    await page.evaluate(([l, t]) => web.queries("words", "words", l, { template: t }), [labels, template]);
    const ours = await page.evaluate(() => web.cutOf("words"));
    group.holds(`${template}: some are`, theirs.length > 1 && theirs.length < labels.length, theirs.length);
    group.same(template, ours, theirs);
    group.rejects(`${template}: all`, ours, labels);
  }
  await page.evaluate(() => web.disposeFinder("words"));
}

/** The two engines may round differently in the last bits. */
const shown = ({ label, index, token, score, box }) =>
  JSON.stringify([
    label,
    index,
    token,
    score.toFixed(4),
    ...[box.x, box.y, box.width, box.height].map((x) => x.toFixed(2)),
  ]);
