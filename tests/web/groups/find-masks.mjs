// What segmenters answer, against tests/fixtures (clipseg, clipseg-refined, clipseg-rd16).
import { distance } from "../lib/report.mjs";
import { everywhere, picture } from "../lib/finders.mjs";

/** Of the distance between unrelated pictures. */
const LOGITS = 1e-5;

export async function findMasks(test) {
  await everywhere(test, "segment", ["clipseg-refined", "clipseg", "clipseg-rd16"], async (model, where, load) => {
    const info = await load({ picturePrompts: where === "CPU" });
    const golden = test.fixtures.golden(model);
    await masks(test, { model, where, golden, info });
    if (where === "CPU") await byPicture(test, { model, golden });
  });
}

/** Every so-manieth row and column, as the fixture has them. */
function sample(mask, side) {
  const step = (1 + Math.floor(side / 10)) | 1;
  return mask.filter((_, at) => (at % side) % step === 0 && Math.floor(at / side) % step === 0);
}

/** How far mask logits are apart. The unit is of all pixels, here are some. */
const apart = (golden, masks, side) => (a, b) =>
  distance(a, b) / (golden.unrelated_distance.logits * Math.sqrt(a.length / (masks * side * side)));

async function masks({ page, report }, { model, where, golden, info }) {
  const { images } = golden;
  const prompts = golden.prompts.map((text) => text || " ");
  const side = info.imageSize;
  const name = `${model} on the ${where}`;
  const logits = report.group(`${name}: mask logits`, apart(golden, prompts.length, side), LOGITS);
  const decided = report.beside(`${name}: masks`);
  decided.holds("what it can do", JSON.stringify(info.tasks) === '["segment"]', JSON.stringify(info.tasks));
  const all = Object.entries(images);
  for (const [at, [image, right]] of all.entries()) {
    const { threshold = 0.4, masks: expected } = right.decided ?? {};
    const found = await page.evaluate(
      ([m, p, t, o]) => web.segment(m, p, t, o),
      [model, picture(image), prompts, { threshold }],
    );
    const ours = found.flatMap((mask) => sample(mask.logits, mask.side));
    logits.same(image, ours, right.logits.flat());
    logits.rejects(`${image}: another picture`, ours, all[(at + 1) % all.length][1].logits.flat());
    if (expected) {
      const facts = found.map(({ area, box }) => JSON.stringify([area, box && edges(box)]));
      const theirs = expected.map(({ area, bounds }) => JSON.stringify([area, bounds]));
      decided.same(image, facts, theirs);
      decided.rejects(
        `${image}: one pixel less`,
        facts,
        expected.map(({ area, bounds }) => JSON.stringify([area - 1, bounds])),
      );
    }
    for (const mask of found) await whole(decided, `${image}, ${mask.label}`, mask);
    decided.same(
      `${image}: prompts`,
      found.map(({ label }) => label),
      prompts,
    );
  }
  await resized({ page, decided, model, side, golden });
}

/** First and last column, first and last row. */
const edges = ({ x, y, width, height }) => [x, x + width - 1, y, y + height - 1];

/** Everything that a mask says of itself is the same thing. */
async function whole(group, name, { width, height, bits, area, rle, polygons, few, image }) {
  const painted = [];
  rle.counts.reduce(
    ([x, inside], run) => {
      for (let i = x; i < x + run; i++) painted[(i % height) * width + Math.floor(i / height)] = inside;
      return [x + run, 1 - inside];
    },
    [0, 0],
  );
  group.same(`${name}: run lengths`, painted, bits);
  const sum = polygons.map(signedArea).reduce((a, b) => a + b, 0);
  group.same(`${name}: area of the polygons`, sum, area);
  group.holds(`${name}: area`, bits.reduce((a, b) => a + b, 0) === area && bits.length === width * height);
  const points = (rings) => rings.reduce((count, ring) => count + ring.length, 0);
  group.holds(`${name}: fewer points`, points(few) <= points(polygons), `${points(few)} of ${points(polygons)}`);
  group.same(
    `${name}: painted`,
    image,
    bits.flatMap((bit) => (bit ? [1, 2, 3, 4] : [0, 0, 0, 0])),
  );
}

/** Of a ring that is clockwise on the screen; less than 0 of a hole. */
function signedArea(ring) {
  return ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

/** At the model's own resolution, and again of a scene. */
async function resized({ page, decided, model, side, golden }) {
  const image = Object.keys(golden.images)[0];
  const { prompts } = golden;
  const size = { size: "model", threshold: 0.5 };
  const [mask] = await page.evaluate(([m, p, t, o]) => web.segment(m, p, t, o), [model, picture(image), prompts, size]);
  decided.same("the model's size", [mask.width, mask.height], [side, side]);
  decided.same(
    "the model's size: bits",
    mask.bits,
    mask.logits.map((logit) => (logit > 0 ? 1 : 0)),
  );
  await page.evaluate(([m, p]) => web.look(m, "masked", p), [model, picture(image)]);
  await page.evaluate(([m]) => web.copyScene(m, "masked", "masked again"), [model]);
  const [again] = await page.evaluate(([t, o]) => web.segmentIn("masked again", t, o), [prompts.slice(0, 1), size]);
  decided.same("of a scene that was elsewhere", again.bits, mask.bits);
}

/** A picture in place of words. */
async function byPicture({ page, report }, { model, golden }) {
  if (!golden.guided) return;
  const { prompt, image, logits } = golden.guided;
  const ask = (given) => page.evaluate(([m, p, t]) => web.segment(m, p, [t]), [model, picture(image), given]);
  const [mask] = await ask(picture(prompt));
  const group = report.group(`${model}: a picture as a prompt`, apart(golden, 1, mask.side), LOGITS);
  group.same(prompt, sample(mask.logits, mask.side), logits.flat());
  const [other] = await ask(golden.prompts[0]);
  group.rejects("words", sample(other.logits, other.side), logits.flat());
}
