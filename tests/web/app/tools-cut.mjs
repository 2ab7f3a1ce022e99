// The tool "Cut out".
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PNG } from "pngjs";
import { forgetShifts, LONG } from "./layout.mjs";
import { opensScene, pick, settled, takes } from "./tools-find.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const fixtures = join(here, "..", "..", "fixtures");
/** A scene, and what its things have of its pixels, in percent, as it was drawn. */
const SCENE = "ships";
const SHARES = { mushroom: 2.45, ship: 9.49 };
const NEAR = 0.8;
const IMAGE = "exact-96x96.png";
const WORDS = ["a photo of a cat", "TWO DOGS IN THE SNOW"];

/** What the app's own model cuts out of a scene that no training has seen; nothing is downloaded from elsewhere. */
async function cutsAtOnce({ page, report, hub }, layers) {
  const group = report.group("tools: cut out, with the app's own model");
  const asked = hub.asked.length;
  await opensScene(page, "cut", SCENE);
  await page.getByLabel("What to cut out").fill(Object.keys(SHARES).join(", "));
  await layers.nth(Object.keys(SHARES).length - 1).waitFor(LONG);
  await settled(page);
  const shares = (await layers.locator("b").allInnerTexts()).map(parseFloat);
  const far = (shares, wanted) => shares.some((share, at) => Math.abs(share - wanted[at]) > NEAR);
  group.holds(`what is there: ${shares}`, !far(shares, Object.values(SHARES)));
  group.rejects("one thing for another", far(shares, Object.values(SHARES).toReversed()), false);
  group.same("asked of the hub", [hub.asked.length], [asked]);
}

export async function cutting(test) {
  const { page, report, good } = test;
  const layers = page.getByRole("list", { name: "Layers" }).getByRole("listitem");
  await cutsAtOnce(test, layers);
  await takes(page, "cut", "CLIPSeg", "#/picture/cut");
  await forgetShifts(page);
  await pick(page, IMAGE);
  await page.getByLabel("What to cut out").fill(WORDS.join(", "));
  await page.waitForTimeout(600);
  await settled(page);
  const golden = JSON.parse(readFileSync(join(fixtures, "clipseg-refined", "golden.json"))).images[IMAGE].decided;
  const areas = golden.masks.slice(0, 2).map(({ area }) => area);
  const plain = PNG.sync.read(readFileSync(join(fixtures, "images", IMAGE)));
  const pixels = plain.width * plain.height;

  const group = report.group("tools: cut out, layers");
  const shares = (areas) => areas.map((area) => `${((100 * area) / pixels).toFixed(1)}%`);
  group.same("shares as the reference's", await layers.locator("b").allInnerTexts(), shares(areas));
  group.rejects("the other way round", await layers.locator("b").allInnerTexts(), shares([...areas].reverse()));

  const saved = async () => {
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save PNG" }).press("Enter");
    return PNG.sync.read(readFileSync(await (await coming).path()));
  };
  const show = (effect) => page.getByRole("radio", { name: effect }).check({ force: true });
  const alphas = ({ data }) => Array.from({ length: pixels }, (_, at) => data[4 * at + 3]);
  const count = (image, wanted) => alphas(image).filter((alpha) => alpha === wanted).length;

  // One layer alone: its eye is shut by the keyboard.
  await page.getByRole("button", { name: `Show ${WORDS[1]}` }).press("Enter");
  await show("Cut out");
  const first = await saved();
  group.same("one layer: its pixels", [count(first, 255), count(first, 0)], [areas[0], pixels - areas[0]]);
  const inside = alphas(first);
  const same = (image, at) => [0, 1, 2].every((c) => image.data[4 * at + c] === plain.data[4 * at + c]);
  group.same("which are the picture's", [inside.every((alpha, at) => alpha === 0 || same(first, at))], [true]);
  await page.getByLabel("Everything else instead").press("Space");
  const rest = await saved();
  group.same("everything else", [count(rest, 255)], [pixels - areas[0]]);
  group.rejects("as before", [count(rest, 255)], [areas[0]]);
  await page.getByLabel("Everything else instead").press("Space");

  const effects = report.group("tools: cut out, effects");
  await show("Background");
  await page.getByLabel("Background colour").fill("#ff0000");
  const red = await saved();
  const isRed = (image, at) =>
    image.data[4 * at] === 255 && image.data[4 * at + 1] === 0 && image.data[4 * at + 2] === 0;
  effects.same(
    "a colour behind it",
    [inside.every((alpha, at) => (alpha ? same(red, at) : isRed(red, at))), count(red, 255)],
    [true, pixels],
  );
  const changed = (image) => [
    inside.every((alpha, at) => alpha > 0 || same(image, at)),
    inside.filter((alpha, at) => alpha > 0 && !same(image, at)).length > areas[0] / 2,
  ];
  for (const effect of ["Blur", "Pixelate"]) {
    await show(effect);
    effects.same(`${effect}: what was found, and nothing else`, changed(await saved()), [true, true]);
  }
  effects.rejects("no effect", changed(plain), [true, true]);
  await show("Colours");
  const [, coloured] = [0, await saved()];
  effects.same("colours: on what was found, and nothing else", changed(coloured), [true, true]);
  await page.getByRole("button", { name: "Copy image" }).click();
  await page.getByText("Copied.").waitFor();
  const types = await page.evaluate(async () => (await navigator.clipboard.read())[0].types);
  effects.same("copied as an image", types, ["image/png"]);
  await page.getByRole("button", { name: `Show ${WORDS[1]}` }).click();
  await good(effects, "cut");
}
