// What is found in the browser is what the command line finds: detections and run lengths.
import { picture } from "../lib/finders.mjs";

const LABELS = ["a photo of a cat", "TWO DOGS IN THE SNOW", "a cup"];
const IMAGES = ["rgb-61x37.png", "tall-23x97.png", "large-211x140.png"];

export async function findNative({ page, report, fixtures, native }) {
  const title = "find: as on the command line";
  if (!native.exists) return report.skip(title, native.missing);
  const group = report.group(title);
  const ask = (command, model, ...more) =>
    native.run(
      ...[command, "--backend", "cpu", "--model", fixtures.model(model), "--labels", LABELS.join(), ...more],
      ...IMAGES.map((name) => fixtures.image(name)),
    );
  const load = (model, kind) =>
    page.evaluate(([m, k]) => web.loadFinder(m, k, `/fixtures/${m}/`, { backend: "cpu" }), [model, kind]);
  await load("owlv2", "detect");
  const detections = ask("detect", "owlv2", "--threshold", "0.05", "--nms", "0.5", "--top-k", "12");
  for (const [at, image] of IMAGES.entries()) {
    const found = await page.evaluate(
      ([m, p, l, o]) => web.detect(m, p, l, o),
      ["owlv2", picture(image), LABELS, { threshold: 0.05, nms: 0.5, topK: 12 }],
    );
    const [ours, theirs] = [found, detections[at].detections].map((all) => all.map(shown));
    group.holds(`${image}: something is found`, theirs.length > 1, theirs.length);
    group.same(image, ours, theirs);
    group.rejects(`${image}: the best left out`, ours.slice(1), theirs);
  }
  await load("clipseg-refined", "segment");
  const segments = ask("segment", "clipseg-refined", "--threshold", "0.45");
  for (const [at, image] of IMAGES.entries()) {
    const found = await page.evaluate(
      ([m, p, l, o]) => web.segment(m, p, l, o),
      ["clipseg-refined", picture(image), LABELS, { threshold: 0.45 }],
    );
    const theirs = segments[at].masks.map((mask) => JSON.stringify([mask.label, mask.area, mask.rle]));
    group.same(
      image,
      found.map((mask) => JSON.stringify([mask.label, mask.area, mask.rle])),
      theirs,
    );
  }
  for (const model of ["owlv2", "clipseg-refined"]) await page.evaluate((m) => web.disposeFinder(m), model);
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
