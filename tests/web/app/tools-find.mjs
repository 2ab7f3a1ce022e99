// The tool "Find".
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PNG } from "pngjs";
import { largest } from "../lib/report.mjs";
import { forgetShifts, LONG } from "./layout.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const fixtures = join(here, "..", "..", "fixtures");
const samples = join(here, "..", "..", "..", "www", "samples");
const IMAGE = "rgb-61x37.png";
const [WIDTH, HEIGHT] = [61, 37];
const WORDS = ["a photo of a cat", "TWO DOGS IN THE SNOW"];
const OVERLAP = 0.5;
const FROM = 0.2;

/** Shows one of the fixtures' pictures. */
export async function pick(page, name) {
  await page.getByLabel("Choose an image").setInputFiles(join(fixtures, "images", name));
  await page.getByRole("img", { name: `Your image, ${name}` }).waitFor(LONG);
}

export async function settled(page) {
  await page.locator('section[aria-label="Answer"][aria-busy="false"]').waitFor(LONG);
}

/** What the reference finds with these words: best first, without what overlaps a better one, within the picture. */
function expected() {
  const golden = JSON.parse(readFileSync(join(fixtures, "owlv2", "golden.json")));
  const { logits, boxes } = golden.images[IMAGE];
  const side = Math.max(WIDTH, HEIGHT); // padded to a square
  const all = logits.map((row, token) => {
    const index = row[1] > row[0] ? 1 : 0;
    const [x, y, w, h] = boxes[token].map((part) => part * side);
    const corners = [
      Math.max(0, x - w / 2),
      Math.max(0, y - h / 2),
      Math.min(WIDTH, x + w / 2),
      Math.min(HEIGHT, y + h / 2),
    ];
    return {
      label: WORDS[index],
      score: 1 / (1 + Math.exp(-row[index])),
      corners,
      raw: [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
    };
  });
  const kept = [];
  for (const one of all.sort((a, b) => b.score - a.score))
    if (kept.every((better) => overlap(better.raw, one.raw) <= OVERLAP)) kept.push(one);
  return kept.filter(({ score, corners: [a, b, c, d] }) => score >= FROM && c - a >= 1 && d - b >= 1);
}

function overlap([ax, ay, aX, aY], [bx, by, bX, bY]) {
  const shared = Math.max(0, Math.min(aX, bX) - Math.max(ax, bx)) * Math.max(0, Math.min(aY, bY) - Math.max(ay, by));
  return shared / ((aX - ax) * (aY - ay) + (bX - bx) * (bY - by) - shared);
}

/** What the app's own model finds in a scene that no training has seen; nothing is downloaded from elsewhere. */
async function findsAtOnce({ page, report, hub }, rows) {
  const group = report.group("tools: find, with the app's own model");
  const asked = hub.asked.length;
  await opensScene(page, "find", "bus");
  await page.getByLabel("What to find").fill("dog, bus, bear, cat");
  await rows.nth(2).waitFor(LONG);
  await settled(page);
  const found = await rows.evaluateAll((all) => all.map(({ dataset }) => dataset.label));
  group.same("what is there", found.toSorted(), ["bear", "bus", "dog"]);
  group.rejects("a cat", found.toSorted(), ["bear", "bus", "cat", "dog"]);
  group.same("asked of the hub", [hub.asked.length], [asked]);
}

/** Opens a tool with a scene that no training has seen. */
export async function opensScene(page, tool, name) {
  await page.evaluate((tool) => (location.hash = `#/picture/${tool}`), tool);
  await page.getByLabel("Choose an image").setInputFiles(join(samples, `scene-${name}.png`));
}

/** Takes another model than the app's own, on the page Models, and goes on at an address. */
export async function takes(page, tool, model, hash) {
  await page.evaluate((tool) => (location.hash = `#/models/${tool}`), tool);
  await page.getByRole("button", { name: `Use ${model}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Download" }).click();
  await page.getByRole("button", { name: `Reload ${model}` }).waitFor(LONG);
  await page.evaluate((hash) => (location.hash = hash), hash);
}

export async function finding(test) {
  const { page, report, good } = test;
  const rows = page.getByRole("list", { name: "Found, best first" }).getByRole("listitem");
  await findsAtOnce(test, rows);
  await takes(page, "find", "OWLv2 base", "#/picture/find");
  await forgetShifts(page);
  await pick(page, IMAGE);
  await page.getByLabel("What to find").fill(WORDS.join(", "));
  await page.waitForTimeout(600);
  await settled(page);

  const wanted = expected();
  const found = await rows.evaluateAll((all) => all.map(({ dataset }) => [dataset.label, Number(dataset.score)]));
  const group = report.group("tools: find, as the reference", largest, 1e-4);
  group.same(
    "scores",
    found.map(([, score]) => score),
    wanted.map(({ score }) => score),
  );
  group.rejects(
    "one less",
    found.slice(1).map(([, score]) => score),
    wanted.map(({ score }) => score),
  );
  await page.getByRole("button", { name: "Copy JSON" }).click();
  await page.getByText("Copied.").waitFor();
  const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  const corners = copied.boxes.flatMap(({ box }) => [box.x, box.y, box.x + box.width, box.y + box.height]);
  group.same(
    "boxes",
    corners.map((one) => one / WIDTH),
    wanted.flatMap(({ corners }) => corners.map((one) => one / WIDTH)),
  );

  const words = report.group("tools: find, list and boxes");
  words.same(
    "labels",
    found.map(([label]) => label),
    wanted.map(({ label }) => label),
  );
  words.rejects(
    "of another word",
    found.map(([label]) => label),
    wanted.map(() => "a third"),
  );
  words.same("the picture's size", [copied.width, copied.height], [WIDTH, HEIGHT]);
  const sum = WORDS.map((word) => [word, wanted.filter(({ label }) => label === word).length]);
  words.same(
    "in one line",
    [await page.locator(".sum").innerText()],
    [
      sum
        .filter(([, count]) => count > 0)
        .map((pair) => pair.join(" "))
        .join(" · "),
    ],
  );
  const lit = () => page.locator(".box.lit").count();
  await page.mouse.move(0, 0);
  words.same("none is lit", [await lit()], [0]);
  await rows.first().hover();
  words.same("the pointer lights its box", [await lit()], [1]);
  await page.mouse.move(0, 0);
  await rows.nth(1).getByRole("button").focus();
  words.same(
    "and so does the keyboard",
    [await lit(), await rows.nth(1).evaluate((one) => one.matches(".lit"))],
    [1, true],
  );
  await page.getByLabel(/^Show from/).focus();
  words.same("left: none", [await lit()], [0]);
  // The best one alone, by the keyboard.
  const scores = found.map(([, score]) => score);
  const shown = async () => [await rows.count(), await page.locator(".box").count()];
  words.same("boxes as rows", await shown(), [scores.length, scores.length]);
  await page.keyboard.press("End");
  words.same("from 95%", await shown(), [0, 0]);
  words.holds("which is said", await page.getByText("Nothing found.").isVisible());
  for (let step = 0; step < 75; step++) await page.keyboard.press("ArrowLeft");
  words.same("and back", await shown(), [scores.length, scores.length]);

  const saved = async (button) => {
    const coming = page.waitForEvent("download");
    await button.press("Enter");
    const file = await coming;
    return [file.suggestedFilename(), PNG.sync.read(readFileSync(await file.path()))];
  };
  const [name, whole] = await saved(page.getByRole("button", { name: "Save image" }));
  words.same("the picture with its boxes", [name, whole.width, whole.height], ["boxes.png", WIDTH, HEIGHT]);
  const plain = PNG.sync.read(readFileSync(join(fixtures, "images", IMAGE)));
  words.holds("has other pixels", !whole.data.equals(plain.data));
  const [, crop] = await saved(rows.first().getByRole("button"));
  const [left, top, right, bottom] = wanted[0].corners;
  words.same("the first thing", [crop.width, crop.height], [Math.round(right - left), Math.round(bottom - top)]);
  const at = (Math.round(top) * WIDTH + Math.round(left)) * 4;
  words.same("with its pixels", [...crop.data.subarray(0, 3)], [...plain.data.subarray(at, at + 3)]);
  await good(words, "find");

  // The picture stays, and so does an address.
  await page.getByRole("list", { name: "Tools" }).getByRole("link", { name: "Label" }).click();
  await page.locator(".bars").first().waitFor(LONG);
  words.same(
    "another tool: the picture stays",
    [await page.getByRole("img", { name: `Your image, ${IMAGE}` }).count()],
    [1],
  );
  await page.evaluate(() => (location.hash = "#/picture/find?words=red%20ball,kite"));
  await page.getByLabel("What to find").waitFor();
  words.same("words of an address", [await page.getByLabel("What to find").inputValue()], ["red ball,kite"]);
  await page.getByText("Use this in your app").click();
  const code = await page.getByRole("region", { name: "Code" }).innerText();
  words.holds("code", /Detector\.load\("hf:google\/owlv2-base/.test(code) && /\["red ball", "kite"\]/.test(code), code);
}
