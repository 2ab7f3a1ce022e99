// The way in for photos: what looks like one, what the built-in model says to it, and the way to a model that knows photos.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { moduleOf } from "../lib/app-module.mjs";
import { done, PATIENCE, search, unfoldRules } from "./folders/page.mjs";
import { settled, unfold } from "./picture-sources.mjs";
import { HUB, imitateHub } from "./hub.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const CLIP = join(root, "tests", "fixtures", "clip");
const image = (name) => readFileSync(join(root, "tests", "fixtures", "images", name));
const LONG = { timeout: 180_000 };
/** A failed request is in the browser's console. */
const may = (what) => what.startsWith(HUB) || /404|ERR_INTERNET/.test(what);

export async function photos(tools) {
  await rules(tools.report);
  await fiveClicks(tools);
  await toModel(tools);
  await classified(tools);
}

/** The rules by themselves, with cases on both sides. */
async function rules(report) {
  const { looksLikePhoto, namedLikePhoto } = await moduleOf("src/state/photo.ts");
  const kind = report.group("photos: what looks like one");
  const head = (...parts) =>
    new Blob(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const cases = [
    ["a JPEG file", new Blob([image("photo-113x79.jpg")]), 0, true],
    ["a PNG drawing", new Blob([image("rgb-61x37.png")]), 61 * 37, false],
    ["the same with more than a megapixel", new Blob([image("rgb-61x37.png")]), 1_000_001, true],
    ["a megapixel is not more", new Blob([image("rgb-61x37.png")]), 1_000_000, false],
    ["HEIC", head("\0\0\0\x18ftypheic\0\0\0\0"), 0, true],
    ["AVIF, which drawings are, too", head("\0\0\0\x18ftypavif\0\0\0\0"), 0, false],
    ["a PNG with a camera's data", head("\x89PNG\r\n\x1a\n....eXIf"), 0, true],
    ["a WebP with a camera's data", head("RIFF....WEBPVP8X....EXIF"), 0, true],
    ["a WebP without", head("RIFF....WEBPVP8 "), 0, false],
    ["nothing", new Blob([]), 0, false],
  ];
  for (const [name, file, pixels, expected] of cases) {
    const found = await looksLikePhoto(file, pixels);
    kind.same(name, [String(found)], [String(expected)]);
    kind.rejects(`${name}: the other answer`, [String(found)], [String(!expected)]);
  }
  kind.same(
    "by name",
    ["a/IMG_1.JPG", "b.heic", "c.jfif", "d.png", "jpg"].map((path) => String(namedLikePhoto(path))),
    ["true", "true", "true", "false", "false"],
  );

  const { usual, scaleOf, format } = await moduleOf("src/parts/scale.ts");
  const sure = report.group("photos: the usual score, and bars");
  sure.same(
    "softmax: a third; less where a third of all is too much",
    [2, 16, 30, 100, 1000].map((labels) => usual("softmax", labels)),
    [1 / 3, 1 / 3, 1 / 3, 0.1, 0.01],
  );
  sure.same("sigmoid: of no other label", [usual("sigmoid", 2), usual("sigmoid", 1000)], [0.005, 0.005]);
  const bar = (score) => [scaleOf("sigmoid", [score, score / 10]).part(score)];
  sure.same(
    "0.3% does not fill the track",
    bar(0.003).map((part) => String(part < 0.05)),
    ["true"],
  );
  sure.rejects("half of it, as it was", bar(0.003), [0.6]);
  sure.same(
    "73% does",
    bar(0.73).map((part) => String(part > 0.7)),
    ["true"],
  );
  sure.same(
    "in words",
    [format("sigmoid", 0.003), format("sigmoid", 0.731), format("softmax", 1)],
    ["0.30%", "73.1%", "100%"],
  );
}

const files = ["beach.jpg", "dog.jpg", "IMG_3.JPG"].map((name) => ({
  name,
  mimeType: "image/jpeg",
  buffer: image("photo-113x79.jpg"),
}));

/** For a page's start: counts the user's clicks, and says how fast the network is. */
function countClicks() {
  globalThis.clicks = 0;
  addEventListener("click", ({ isTrusted }) => isTrusted && globalThis.clicks++, true);
  Object.defineProperty(navigator, "connection", { value: { downlink: 10, saveData: false } });
}

/** From the app's first page to photos that are found by words with a model that knows photos. */
async function fiveClicks({ fresh, open, report }) {
  const group = report.group("photos: from an empty app to a searched collection");
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(countClicks);
  const hub = await imitateHub(context, CLIP);
  const page = await open(context, "picture", "", may);
  await page.getByRole("navigation").getByRole("link", { name: "Photos" }).click();
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose photos" }).click();
  await (await chosen).setFiles(files);
  await page.getByRole("button", { name: "Get TinyCLIP · 166 MB · MIT" }).click(LONG);
  const dialog = page.getByRole("dialog", { name: "Download 166 MB?" });
  await dialog.waitFor();
  group.same("nothing is downloaded before its size is said", hub.asked, []);
  await dialog.getByRole("button", { name: "Download" }).click();
  await page.getByText("TinyCLIP knows photos").waitFor(LONG);
  await done(page, 3);
  await page.getByRole("group", { name: "Suggestions" }).getByRole("button", { name: "dog" }).click();
  await page.waitForFunction(
    () => document.querySelectorAll('.results[aria-busy="false"] .pictures button[data-score]').length === 3,
    null,
    LONG,
  );
  group.same("what is asked", [await search(page).inputValue()], ["dog"]);
  const clicks = await page.evaluate(() => globalThis.clicks);
  group.same("at most five clicks", [clicks > 0 && clicks <= 5], [true]);
  group.rejects("one more", [clicks + 1 <= 5], [true]);
  report.note("photos: clicks from an empty app to a searched collection", String(clicks));
  await page.close();
}

/** The way to a photo model, which can be cancelled, can fail, and can be gone back. */
async function toModel({ fresh, open, report, axe, shots }) {
  const group = report.group("photos: from photos to a photo model");
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(countClicks);
  const hub = await imitateHub(context, CLIP);
  const page = await open(context, "photos", "", may);
  const hint = page.getByRole("region", { name: "Photo models" });
  await page.getByText("Ocelli tiny knows drawings, emoji and clip art, but not photos.").waitFor(LONG);
  group.same("no photo, no hint", [await hint.count()], [0]);
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose photos" }).click();
  await (await chosen).setFiles(files);
  await done(page, 3);
  await hint.getByText("These look like photos.").waitFor();
  group.holds("all its ways", (await hint.innerText()).includes("SigLIP base, better · 816 MB · Apache-2.0"));
  group.holds("and a way to all models", await hint.getByRole("link", { name: "All models" }).isVisible());
  const found = await axe(page);
  group.holds("axe: hint", found.length === 0, found.join(" | "));
  await shots(page, "photos-hint");

  const get = hint.getByRole("button", { name: "Get TinyCLIP · 166 MB · MIT" });
  await get.click();
  const dialog = page.getByRole("dialog", { name: "Download 166 MB?" });
  await dialog.waitFor();
  const said = await dialog.innerText();
  const lacking = (said) =>
    [
      "TinyCLIP, licence: MIT",
      "About 2 min on this connection",
      "until you remove it",
      "3 photos will be indexed again",
    ].filter((part) => !said.replace(/\s+/g, " ").includes(part));
  group.same("what the question lacks", lacking(said), []);
  group.rejects("a question without its cost", lacking("Download?"), []);
  group.same("asked of the hub before the answer", hub.asked, []);
  const asking = await axe(page);
  group.holds("axe: question", asking.length === 0, asking.join(" | "));
  await shots(page, "photos-question");

  let letGo = () => {};
  hub.held = new Promise((resolve) => (letGo = resolve));
  await dialog.getByRole("button", { name: "Download" }).click();
  const progress = hint.locator(".loading");
  await progress.getByText(/of [\d.]+ [kM]B|almost ready/).waitFor(LONG);
  group.same("clicks", [await page.evaluate(() => globalThis.clicks)], [3]);
  group.same(
    "progress is where the click was, and nowhere else",
    [
      await hint.getByRole("button", { name: "Cancel" }).isVisible(),
      await page.locator("ocelli-model-status .loading").isVisible(),
    ].map(String),
    ["true", "false"],
  );
  await shots(page, "photos-loading");
  await hint.getByRole("button", { name: "Cancel" }).click();
  await get.waitFor();
  letGo();
  group.same("cancelled: the old model stays", [await page.getByText("Ocelli tiny knows drawings").count()], [1]);

  // It fails, where the click was; and works when it is tried again.
  hub.gone = true;
  await get.click();
  await dialog.getByRole("button", { name: "Download" }).click();
  await hint.getByRole("heading", { name: "The model couldn't be downloaded" }).waitFor(LONG);
  group.holds("in one sentence", !/huggingface\.co|HTTP|Failed/.test(await hint.locator(".notice").innerText()));
  await shots(page, "photos-failed");
  hub.gone = false;
  await hint.getByRole("button", { name: "Try again" }).click();
  await page.getByText("TinyCLIP knows photos").waitFor(LONG);
  await done(page, 3);
  group.same("the hint has done its work", [await hint.count()], [0]);
  await unfoldRules(page);
  const prompt = () => page.getByLabel("Custom prompt").inputValue();
  group.same("photos have their own prompt", [await prompt()], ["a photo of a {}"]);
  await shots(page, "photos-done");

  // The way back costs nothing: what a model has indexed is kept. Another one has seen nothing yet.
  await page.getByRole("navigation").getByRole("link", { name: "Models" }).click();
  await page.getByRole("button", { name: "Use Ocelli tiny", exact: true }).click();
  await page.getByRole("heading", { name: "In use: Ocelli tiny", exact: true }).waitFor(LONG);
  await page.getByRole("button", { name: "Use Ocelli tiny, 4-bit" }).click();
  const other = page.getByRole("dialog", { name: "Switch to Ocelli tiny, 4-bit?" });
  await other.getByText("3 photos will be indexed again").waitFor();
  await page.keyboard.press("Escape");
  await other.waitFor({ state: "hidden" });
  group.same(
    "escaped: the old one stays",
    [await page.getByRole("heading", { name: "In use: Ocelli tiny", exact: true }).count()],
    [1],
  );
  await page.close();
}

/** A photo on the page "Picture": the hint in place of a wrong headline; declined, it stays so. */
async function classified({ fresh, open, report, axe, shots }) {
  const group = report.group("photos: on the page Picture");
  const context = await fresh();
  const page = await open(context, "picture");
  await settled(page);
  const hint = page.getByRole("region", { name: "Photo models" });
  const headline = () => page.locator(".best").allInnerTexts();
  group.same("a sample has no hint", [await hint.count()], [0]);
  const pick = async () => {
    await page.getByLabel("Choose an image").setInputFiles({
      name: "photo.jpg",
      mimeType: "image/jpeg",
      buffer: image("photo-113x79.jpg"),
    });
    await page.getByRole("img", { name: "Your image, photo.jpg" }).waitFor(LONG);
    await settled(page);
  };
  await pick();
  await hint.getByText("This looks like a photo.").waitFor();
  group.same("no headline beside it", await headline(), []);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "photos-picture");
  await page.evaluate(() =>
    Object.defineProperty(navigator, "connection", { value: { saveData: true, downlink: undefined } }),
  );
  await hint.getByRole("button", { name: /^SigLIP base/ }).click();
  const dialog = page.getByRole("dialog", { name: "Download 816 MB?" });
  await dialog.getByText("Your browser is set to save data.").waitFor();
  group.same("no speed, no time", [/on this connection/.test(await dialog.innerText())].map(String), ["false"]);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await hint.getByRole("button", { name: "Not now" }).click();
  await hint.waitFor({ state: "detached" });

  // What no label fits is not answered, in whatever score it is shown.
  await page.getByRole("button", { name: "guitar", exact: true }).click();
  await page.getByRole("img", { name: "Sample drawing: guitar" }).waitFor(LONG);
  await settled(page);
  group.same("a label that fits", await headline(), ["Guitar"]);
  await unfold(page, "Advanced");
  await page.getByRole("textbox", { name: /^Labels to choose from/ }).fill("sofa, teapot");
  await settled(page);
  group.same("none that fits", await headline(), ["Not sure"]);
  group.rejects("the best of them", await headline(), ["Sofa"]);
  const closest = page.locator(".top").getByText(/^closest: (sofa|teapot), [\d.< ]+%$/);
  group.same("it is said which comes closest", [await closest.count()], [1]);
  await page.getByRole("radio", { name: "softmax" }).check({ force: true });
  await page.getByText("Score: softmax.").waitFor();
  group.same("softmax is of the same mind", await headline(), ["Not sure"]);
  await page.reload();
  await settled(page);
  await pick();
  group.same("not now: also on the next visit", [await hint.count()], [0]);
  await page.close();
}
