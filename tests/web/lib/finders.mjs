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
