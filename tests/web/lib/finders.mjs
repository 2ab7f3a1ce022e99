// Where detectors and segmenters are tested.

export const picture = (name) => ({ url: `/fixtures/images/${name}` });

/** One detector and one segmenter everywhere, the others on the CPU, which starts at once. */
const WHERE = { GPU: { backend: "webgpu" }, CPU: { backend: "cpu" }, worker: { backend: "cpu", worker: true } };
const EVERYWHERE = ["owlv2", "clipseg-refined"];

/** `check` for each of the models, in each place where it is to run. */
export async function everywhere({ page }, kind, models, check) {
  for (const model of models)
    for (const [where, options] of Object.entries(WHERE)) {
      if (where !== "CPU" && !EVERYWHERE.includes(model)) continue;
      const load = (more = {}) =>
        page.evaluate(
          ([m, k, o]) => web.loadFinder(m, k, `/fixtures/${m}/`, o),
          [model, kind, { ...options, ...more }],
        );
      await check(model, where, load);
      await page.evaluate((m) => web.disposeFinder(m), model);
    }
}

/** The package refuses an empty label; a blank is the same text to every tokenizer. */
export const word = (text) => text || " ";

/** Every label of every patch, where it is and how likely. */
export const ALL = { threshold: 0, clip: false, multiLabel: true };

/** Logits [token][label] and boxes [token] of a scene, as the reference has them. */
export function tables(found, labels, extent) {
  const tokens = found.length / labels;
  const logits = new Array(tokens * labels).fill(NaN);
  const boxes = new Array(tokens * 4).fill(NaN);
  for (const { index, token, logit, box } of found) {
    logits[token * labels + index] = logit;
    const { x, y, width, height } = box;
    const shares = [(x + width / 2) / extent[0], (y + height / 2) / extent[1], width / extent[0], height / extent[1]];
    boxes.splice(token * 4, 4, ...shares);
  }
  return { logits, boxes };
}
