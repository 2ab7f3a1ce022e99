// Every kernel tier that this browser can run, on a model whose sequences are longer than a tile: the compilers are the browser's.
import { changeShaders } from "../lib/shaders.mjs";
import { distance } from "../lib/report.mjs";

/** Its weights have 8 bits, so that `dot8` is what it says. */
const FOLDER = "/models/ocelli-tiny/";
const PICTURES = ["rgb-61x37", "large-211x140"].map((name) => ({
  url: `/fixtures/images/${name}.png`,
}));
const TEXTS = ["a photo of a cat", "two dogs"];

const IN_F16 = ["Element4(value)", "vec4f(quantizeToF16(value))"];
const PRODUCTS = "sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w";
/**
 * How far each kind of tier may be from `plain`, as a share of the mean distance between unrelated inputs, and a shader that computes a
 * little less well, which is too far: `[tier, label, [from, to]…]`.
 * - exact: sums in another order, 8.5e-7 measured. Too far: inputs rounded to f16, 1.3e-3.
 * - half: inputs and products of four in f16, 1.7e-3 where `wide` does that; natively up to 3.7e-3 on smaller models. Too far: sums in f16, 0.035.
 * - dot8: inputs in 8 bits, 0.018 measured. Too far: in 7 bits, 0.039.
 */
const KINDS = {
  exact: { bound: 2e-5, worse: ["wide", "matmul_wide", IN_F16] },
  half: {
    bound: 5e-3,
    alike: ["wide", "matmul_wide", IN_F16, [PRODUCTS, "sum + quantizeToF16(dot(a, b))"]],
    worse: ["wide", "matmul_wide", IN_F16, [PRODUCTS, "quantizeToF16(sum + quantizeToF16(dot(a, b)))"]],
  },
  dot8: { bound: 0.025, worse: ["dot8", "matmul_dot8", ["127.0", "63.0"]] },
};

export async function tiers({ browser, server, page, report }) {
  const plain = await embedded(page, "plain");
  const { tiers } = plain.info;
  const unrelated = [meanDistance(plain.images), meanDistance(plain.texts)];
  /** The largest distance, as a share of the unrelated one. */
  const share = (found, right) =>
    Math.max(
      ...right.images.map((row, i) => distance(found.images[i], row) / unrelated[0]),
      ...right.texts.map((row, i) => distance(found.texts[i], row) / unrelated[1]),
    );
  const sound = report.group("kernel tiers");
  sound.holds("more than one", tiers.length > 3, tiers.join());
  sound.rejects("a note", "computes wrongly", "undefined");
  for (const [kind, { bound, alike, worse }] of Object.entries(KINDS)) {
    const own = tiers.filter((tier) => (tier in KINDS ? tier : "exact") === kind);
    if (own.length === 0 && !alike) continue;
    const group = report.beside(`kernel tiers: ${kind}, shares`, share, bound);
    for (const tier of own) {
      const found = await embedded(page, tier);
      const { ok, off } = await page.evaluate(() => web.verify("tier"));
      group.same(tier, found, plain);
      const again = JSON.stringify(found.again[0]) === JSON.stringify(found.images[0]);
      sound.holds(`${tier}: the same in every run`, again);
      sound.same(`${tier}: verify`, `${ok} ${off}`, "true null");
      sound.same(`${tier}: no note`, String(found.info.note), "undefined");
    }
    if (alike) group.same("as wide does it", await changed({ browser, server }, alike), plain);
    if (tiers.includes(worse[0])) group.rejects("a worse one", await changed({ browser, server }, worse), plain);
    group.rejects("other pictures", { ...plain, images: plain.images.toReversed() }, plain);
  }
}

/** The mean over all pairs. */
function meanDistance(rows) {
  const all = rows.flatMap((a, i) => rows.slice(i + 1).map((b) => distance(a, b)));
  return all.reduce((sum, x) => sum + x) / all.length;
}

/** What a tier makes of pictures and texts. */
function embedded(page, tier) {
  return page.evaluate(
    async ([folder, tier, pictures, texts]) => {
      const { info } = await web.load("tier", folder, { tier });
      const images = await web.embedImages("tier", pictures);
      const again = await web.embedImages("tier", pictures.slice(0, 1));
      const { value } = await web.embedTexts("tier", texts);
      return { info, images, again, texts: value };
    },
    [FOLDER, tier, PICTURES, TEXTS],
  );
}

/** The same in a browser that changes a tier's shader on the way. */
async function changed({ browser, server }, [tier, label, ...changes]) {
  const page = await browser.newPage();
  await page.addInitScript(changeShaders, [label, changes]);
  await page.goto(server.page);
  const found = await embedded(page, tier);
  await page.close();
  return found;
}
