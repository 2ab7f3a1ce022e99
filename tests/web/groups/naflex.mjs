// Pictures that keep their shape (SigLIP 2's NaFlex): the reference's embeddings at several numbers of patches, on the GPU, on the CPU
// and in a worker.
import { distance, precise } from "../lib/report.mjs";
import { rgb } from "../lib/fixtures.mjs";

const MODEL = "naflex";
/** f32 sums in another order than the reference's, as a part of the distance between unrelated pictures. */
const CLOSE = 1e-4;

export async function naflex({ page, report, fixtures, quirks }) {
  const { budgets, unrelated_distance: unrelated } = fixtures.golden(MODEL);
  const load = (options) => page.evaluate(([m, o]) => web.load(m, `/fixtures/${m}/`, o), [MODEL, options]);
  const address = (name) => `/fixtures/images/${name}`;
  for (const [where, options] of Object.entries({ GPU: {}, CPU: { backend: "cpu" }, worker: { worker: true } })) {
    const group = report.group(`${MODEL}: on the ${where}`, (a, b) => distance(a, b) / unrelated.image, CLOSE);
    for (const { max_num_patches: most, images } of where === "worker" ? budgets.slice(1, 2) : budgets) {
      const { info } = await load({ ...options, maxNumPatches: most });
      group.holds(`${most} patches: said`, info.maxNumPatches === most, info.maxNumPatches);
      const names = Object.keys(images).filter((name) => !(quirks.multipliesAlpha && name.startsWith("rgba-")));
      for (const name of names) {
        const found = await page.evaluate(([m, u]) => web.embedImage(m, { url: u }), [MODEL, address(name)]);
        group.same(`${name}, ${most} patches`, found, images[name].embedding);
        for (const [mistake, wrong] of Object.entries(images[name].wrong))
          group.rejects(`${name}, ${most} patches: ${mistake}`, found, wrong);
      }
    }
  }
  await seen({ page, report, fixtures, load, address });
  await errors({ page, report });
}

/** What the tower sees has the picture's own shape. */
async function seen({ page, report, fixtures, load, address }) {
  const { info } = await load({});
  const group = report.group(`${MODEL}: pixels, bytes`);
  group.holds("the checkpoint's own number of patches", info.maxNumPatches === 20, info.maxNumPatches);
  const { images } = fixtures.golden(MODEL).budgets.find((budget) => budget.max_num_patches === 20);
  for (const name of ["wide-230x11.png", "tall-23x97.png", "exact-35x28.png"]) {
    const { width, height, base64 } = await page.evaluate(
      ([m, u]) => web.preprocess(m, { form: "Blob", url: u }),
      [MODEL, address(name)],
    );
    const found = rgb(Buffer.from(base64, "base64"));
    group.same(`${name}: rows and columns`, JSON.stringify([height / 7, width / 7]), JSON.stringify(images[name].grid));
    group.same(name, found, fixtures.square(MODEL, name));
    group.rejects(`${name}: another picture`, found, fixtures.square(MODEL, "tiny-7x5.png"));
  }
}

async function errors({ page, report }) {
  const group = report.group(`${MODEL}: what cannot be`);
  for (const [model, maxNumPatches] of [
    [MODEL, 0],
    [MODEL, 2.5],
    [MODEL, "20"],
    [MODEL, 100_000],
    ["siglip2", 20],
  ]) {
    const failed = await page.evaluate(
      ([m, o]) => web.attempt(() => web.load(`${m}, refused`, `/fixtures/${m}/`, o)),
      [model, { maxNumPatches }],
    );
    group.same(`${model}: ${JSON.stringify(maxNumPatches)}`, failed?.code, "bad-input");
    group.rejects(`${model}: ${JSON.stringify(maxNumPatches)}: another code`, failed?.code, "bad-checkpoint");
  }
}
