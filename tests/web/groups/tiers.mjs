// Every kernel tier that this browser can run, on a model whose sequences are longer than a tile: the compilers are the browser's.
const FOLDER = "/models/ocelli-tiny/";
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };
const TEXT = "a photo of a cat";
/** What each promises, as tests/models has it; the model's weights have 8 bits, so that `dot8` is what it says. */
const LEAST = { half: 0.9999, dot8: 0.998 };
const EXACT = 0.9999999;

const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0) / Math.hypot(...a) / Math.hypot(...b);

export async function tiers({ page, report }) {
  const group = report.group("kernel tiers");
  const embed = async (tier) => {
    const { info } = await page.evaluate(([f, t]) => web.load("tier", f, { tier: t }), [FOLDER, tier]);
    const image = await page.evaluate((p) => web.embedImage("tier", p), PICTURE);
    const again = await page.evaluate((p) => web.embedImage("tier", p), PICTURE);
    const text = await page.evaluate((t) => web.embedText("tier", t), TEXT);
    const { ok, off } = await page.evaluate(() => web.verify("tier"));
    return { info, image, again, text, ok, off };
  };
  const plain = await embed("plain");
  for (const tier of plain.info.tiers) {
    const found = await embed(tier);
    const least = LEAST[tier] ?? EXACT;
    for (const what of ["image", "text"]) {
      const near = cosine(found[what], plain[what]);
      group.holds(`${tier}: ${what}`, near >= least, `a cosine of ${near}`);
    }
    group.holds(
      `${tier}: the same in every run`,
      found.again.every((x, i) => x === found.image[i]),
    );
    group.same(`${tier}: verify`, `${found.ok} ${found.off}`, "true null");
    group.same(`${tier}: no note`, String(found.info.note), "undefined");
  }
  group.holds("more than one", plain.info.tiers.length > 3, plain.info.tiers.join());
  group.holds("a text is no picture", cosine(plain.image, plain.text) < LEAST.dot8);
  group.rejects("a note", "computes wrongly", "undefined");
}
