// The page "Tag": a folder is indexed, tagged and kept; what goes wrong on the way is said, and the next click works.
import { readFileSync } from "node:fs";
import {
  arrive,
  countEmbeddings,
  drawn,
  inOrigin,
  keptEmbeddings,
  onDisk,
  pickOrigin,
  withoutPicker,
} from "../lib/collection.mjs";
import { large } from "./tag/large.mjs";
import { storage } from "./tag/storage.mjs";

const COUNT = 24;
/** Milliseconds; a busy machine takes its time. */
const PATIENCE = 180_000;

export async function tag(tools) {
  const pictures = drawn(COUNT);
  await empty(tools);
  await results(tools, pictures);
  await visits(tools, pictures);
  await steering(tools);
  await singles(tools, pictures);
  await storage(tools, pictures);
  if (process.env.OCELLI_FULL === "1") await large(tools);
  else tools.report.skip("tag: 1,000 pictures, and closed in the middle", "set OCELLI_FULL=1", { optional: true });
}

const done = (page, count, more = "") =>
  page.getByText(`${count} images indexed.${more}`, { exact: true }).waitFor({ timeout: PATIENCE });
const tagged = (page) =>
  page.waitForFunction(
    () => !/updating/.test(document.querySelector(".order [role=status]")?.textContent ?? "updating"),
    null,
    { timeout: PATIENCE },
  );

/** Tags of a page's tiles, by path. */
const tiles = (page) =>
  page.$$eval(".results .pictures button", (all) =>
    Object.fromEntries(
      all.map((tile) => [
        tile.dataset.path,
        [...tile.querySelectorAll(".tag")].map((tag) =>
          tag.textContent.replace(tag.querySelector("b").textContent, "").trim(),
        ),
      ]),
    ),
  );

/** What a click on a button saves, as text. */
async function saved(page, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
  return readFileSync(await file.path(), "utf8");
}

/** Rows of a CSV file, by the rules of RFC 4180. */
function readCsv(text) {
  const rows = [];
  for (const line of text
    .replace(/^\uFEFF/, "")
    .split("\r\n")
    .filter(Boolean))
    rows.push([...line.matchAll(/"((?:[^"]|"")*)"(?:,|$)/g)].map(([, cell]) => cell.replaceAll('""', '"')));
  return rows;
}

/** Before there is any image: samples to try it with. */
async function empty({ fresh, open, report, axe, shots }) {
  const group = report.group("tag: empty, and samples to try");
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  const page = await open(context, "tag");
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "tag-empty");
  await page.getByRole("button", { name: "Try 9 sample drawings" }).click();
  await done(page, 9, "");
  await tagged(page);
  const { "Samples/guitar.png": guitar = [] } = await tiles(page);
  group.same("a guitar's first tag", guitar.slice(0, 1), ["guitar"]);
  group.rejects("another tag", guitar.slice(0, 1), ["castle"]);
  await page.close();
}

async function results({ fresh, open, report, axe, shots }, pictures) {
  const odd = ["=1+1.png", 'a "quoted", name.png', "🐙 emoji.png", "same.png"];
  const files = [
    ...pictures,
    ...odd.map((name, i) => ({ name, bytes: pictures[i].bytes })),
    { name: "sub/same.png", bytes: pictures[5].bytes },
    { name: "broken.png", bytes: Buffer.from("no picture") },
    { name: "empty.jpg", bytes: Buffer.alloc(0) },
    { name: "notes.txt", bytes: Buffer.from("no picture either") },
  ];
  const whole = files.length - 3;
  const folder = onDisk("photos", files);
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(withoutPicker);
  await context.addInitScript(countEmbeddings);
  const page = await open(context, "tag");
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose a folder" }).click();
  await (await chosen).setFiles(folder);
  await done(page, whole, " 2 files can't be read.");
  await tagged(page);

  const tags = report.group("tag: pictures of a folder and their tags");
  const shown = await tiles(page);
  tags.same(
    "all pictures, and no other file",
    Object.keys(shown).sort(),
    files
      .slice(0, -3)
      .map(({ name }) => `photos/${name}`)
      .sort(),
  );
  const expected = (shows) =>
    pictures
      .filter((one) => one.shows === shows)
      .map((one) => [shows, shown[`photos/${one.name}`].includes(shows)].join());
  tags.same(
    "bicycles and cacti",
    [...expected("bicycle"), ...expected("cactus")],
    [...pictures.filter((one) => one.shows === "bicycle"), ...pictures.filter((one) => one.shows === "cactus")].map(
      ({ shows }) => `${shows},true`,
    ),
  );
  tags.rejects("a cactus as a bicycle", [shown["photos/0001-cactus.png"].includes("bicycle")], [true]);

  // A tag's chip shows its pictures, and as many as it says.
  const chip = page.getByRole("group", { name: "Show images with" }).getByRole("button", { name: /^bicycle/ });
  const says = Number((await chip.innerText()).replace(/\D/g, ""));
  await chip.click();
  const only = await tiles(page);
  tags.same("the chip's count", [says], [Object.keys(only).length]);
  tags.same(
    "only such",
    Object.values(only).map((labels) => labels.includes("bicycle")),
    Object.values(only).map(() => true),
  );
  await page.getByRole("group", { name: "Show images with" }).getByRole("button", { name: /^All/ }).click();
  await page.getByLabel("Order").selectOption("Highest score first");
  const best = await page.$$eval(
    ".results .pictures .tag:first-of-type b, .results .pictures button .name + .tag b",
    (all) => all.map((one) => parseFloat(one.textContent.replace(/[^\d.]/g, ""))),
  );
  tags.same(
    "surest first",
    best,
    [...best].sort((a, b) => b - a),
  );
  await page.getByLabel("Order").selectOption("Name");

  const files2 = report.group("tag: what is saved");
  const again = await tiles(page);
  const rows = readCsv(await saved(page, "Save as CSV"));
  const plain = (path) => path.replace(/^'/, "");
  files2.same(
    "CSV: a line for each picture",
    rows.map(([path]) => plain(path)),
    ["path", ...Object.keys(again)],
  );
  files2.same(
    "CSV: the tags on the page",
    rows.slice(1).map(([, labels]) => labels),
    Object.values(again).map((labels) => labels.join(", ")),
  );
  const parsed = JSON.parse(await saved(page, "Save as JSON"));
  files2.same(
    "JSON: the tags on the page",
    parsed.pictures.map(({ path, tags }) => `${path}: ${tags.map(({ label }) => label)}`),
    Object.entries(again).map(([path, labels]) => `${path}: ${labels}`),
  );
  files2.same(
    "JSON: scores best first",
    parsed.pictures.map(({ tags }) => tags.every(({ score }, i) => i === 0 || score <= tags[i - 1].score)),
    parsed.pictures.map(() => true),
  );
  files2.same(
    "JSON: nothing below the threshold",
    [parsed.pictures.flatMap(({ tags }) => tags).filter(({ score }) => score < parsed.threshold).length],
    [0],
  );
  files2.rejects(
    "another picture's tags",
    rows.slice(1).map(([, labels]) => labels),
    Object.values(again)
      .map((labels) => labels.join(", "))
      .reverse(),
  );

  const judging = report.group("tag: other labels without running pictures");
  const before = (await page.evaluate(() => embedded)).length;
  judging.same("each picture once", [before], [whole]);
  await page.getByLabel("Labels to choose from").fill("pizza, octopus, =cmd");
  await page
    .locator(".chips")
    .getByRole("button", { name: /^bicycle/ })
    .waitFor({ state: "detached", timeout: PATIENCE });
  await page.getByLabel("Best match").check({ force: true });
  await tagged(page);
  const others = await tiles(page);
  const labels = new Set(Object.values(others).flat());
  judging.same(
    "tags are of the new labels",
    [[...labels].every((label) => ["pizza", "octopus", "=cmd"].includes(label)), labels.size > 0],
    [true, true],
  );
  judging.same(
    "one for each",
    Object.values(others).map(({ length }) => length),
    Object.values(others).map(() => 1),
  );
  judging.same("no picture ran again", [(await page.evaluate(() => embedded)).length], [before]);
  await page.getByLabel("Minimum score").fill("1");
  await page.getByRole("button", { name: /^Untagged/ }).click();
  await tagged(page);
  judging.holds(
    "above all scores, untagged",
    Object.values(await tiles(page)).every(({ length }) => length === 0),
  );
  judging.rejects(
    "with the old tags",
    Object.values(others).map(({ length }) => length),
    Object.values(again).map(() => 2),
  );
  await page.getByLabel("Minimum score").fill("0");
  await tagged(page);
  const formula = readCsv(await saved(page, "Save as CSV"))
    .flat()
    .filter((cell) => /^[=+@-]/.test(cell));
  judging.holds("no cell is a formula", formula.length === 0, formula.join());

  const broken = report.group("tag: files that are no pictures");
  await page.getByText("Unreadable (2)").click();
  const list = await page.$$eval(".broken li", (all) => all.map((one) => one.innerText.replace(/\s+/g, " ")));
  broken.same(
    "which, and why",
    list.map((line) => /broken\.png The browser can't decode|empty\.jpg The file is empty/.test(line)),
    [true, true],
  );
  broken.rejects(
    "a picture among them",
    list.map((line) => line.includes("0000-bicycle")),
    [true, true],
  );
  await shots(page, "tag-broken");

  const alike = report.group("tag: near-duplicates");
  await page.getByText("Near-duplicates").click();
  await page.locator(".group").first().waitFor({ timeout: PATIENCE });
  const groups = await page.$$eval(".group", (all) =>
    all.map((group) => [...group.querySelectorAll("button")].map(({ dataset }) => dataset.path)),
  );
  for (const [i, name] of odd.entries()) {
    const mine = groups.find((group) => group.includes(`photos/${name}`)) ?? [];
    alike.same(name, [mine.includes(`photos/${pictures[i].name}`)], [true]);
  }
  alike.rejects(
    "a bicycle like a cactus",
    [groups.some((group) => group.includes("photos/0000-bicycle.png") && group.includes("photos/0001-cactus.png"))],
    [true],
  );
  await page.getByLabel(/Similarity/).fill("0.9");
  await page.waitForTimeout(1500);
  const most = await page.$$eval(".group button", (all) => all.length);
  alike.holds("further left, more of them", most >= groups.flat().length, most);
  const found = await axe(page);
  alike.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "tag-duplicates");

  await page.getByText("Images", { exact: true }).click();
  await page.getByLabel("All matches").check({ force: true });
  await page
    .getByLabel("Labels to choose from")
    .fill("bicycle, cactus, castle, cat, dog, guitar, octopus, pizza, rocket");
  await page
    .locator(".chips")
    .getByRole("button", { name: /^bicycle/ })
    .waitFor({ timeout: PATIENCE });
  await tagged(page);
  await page.getByRole("group", { name: "Show images with" }).getByRole("button", { name: /^All/ }).click();
  await viewer({ report, axe, shots }, page);
  await shots(page, "tag");
  await page.close();
}

async function viewer({ report, axe, shots }, page) {
  const group = report.group("tag: a picture large, by keyboard");
  const first = page.locator(".results .pictures button").first();
  await first.focus();
  await page.keyboard.press("ArrowRight");
  const second = await page.evaluate(() => document.activeElement.dataset.path);
  group.same(
    "the arrow moves",
    [second],
    [await page.locator(".results .pictures button").nth(1).getAttribute("data-path")],
  );
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  const name = () => dialog.getByRole("heading").innerText();
  group.same("its name", [await name()], [second.split("/").at(-1)]);
  group.same("all scores", [await dialog.locator(".bars li").count()], [9]);
  await dialog.locator("img").waitFor();
  await page.waitForFunction(() => document.querySelector("dialog img").naturalWidth > 0);
  group.same(
    "the file, not the preview",
    [await dialog.locator("img").evaluate(({ naturalWidth }) => naturalWidth)],
    [320],
  );
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "tag-viewer");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(
    (name) => document.querySelector("dialog h2").textContent !== name,
    second.split("/").at(-1),
  );
  group.rejects("the next one is another", [await name()], [second.split("/").at(-1)]);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  group.same(
    "the grid has the focus again",
    [await page.evaluate(() => document.activeElement.dataset.path)],
    [second],
  );
}

/** A folder that changes between visits; one picked twice; two of the same name. */
async function visits({ fresh, open, report }, pictures) {
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(pickOrigin);
  await context.addInitScript(countEmbeddings);
  const first = await open(context, "tag");
  const pick = async (page, folder, words) => {
    await page.evaluate((folder) => (globalThis.folderToPick = folder), folder);
    await page.getByRole("button", { name: "Choose a folder" }).click();
    await page.locator(".found").getByText(words).waitFor({ timeout: PATIENCE });
  };
  const some = pictures.slice(0, 10);
  await inOrigin(first, "one/photos", some);
  await inOrigin(
    first,
    "two/photos",
    pictures.slice(10, 13).map((one, i) => ({ ...one, name: some[i].name })),
  );
  const group = report.group("tag: folders that change, and namesakes");
  await pick(first, "one/photos", "10 new.");
  await done(first, 10);
  await pick(first, "one/photos", "Nothing has changed.");
  group.same("picked twice, embedded once", [(await first.evaluate(() => embedded)).length], [10]);
  await inOrigin(first, "one/photos", [{ name: some[0].name, bytes: pictures[20].bytes }, pictures[21]]);
  await first.evaluate(async (name) => {
    const folder = await (
      await (await navigator.storage.getDirectory()).getDirectoryHandle("one")
    ).getDirectoryHandle("photos");
    await folder.removeEntry(name);
  }, some[1].name);
  await first.close();

  // The browser may read the folder again: it is looked at by itself.
  const page = await open(context, "tag");
  await page.waitForFunction(() => embedded.length >= 2, null, { timeout: PATIENCE });
  await done(page, 10);
  const again = await page.evaluate(() => embedded);
  group.same(
    "only what is new or changed",
    again.sort(),
    [`photos/${some[0].name}`, `photos/${pictures[21].name}`].sort(),
  );
  group.rejects(
    "all of them",
    again,
    some.map(({ name }) => `photos/${name}`),
  );
  const kept = async () => (await keptEmbeddings(page)).sort();
  const now = [some[0], ...some.slice(2), pictures[21]].map(({ name }) => `photos/${name}`).sort();
  group.same("what is gone is forgotten", await kept(), now);

  await pick(page, "two/photos", "3 new.");
  await done(page, 13);
  await page.getByText("2 folders").click();
  group.same(
    "a namesake is another folder",
    await kept(),
    [...now, ...some.slice(0, 3).map(({ name }) => `photos (2)/${name}`)].sort(),
  );
  await page.getByRole("button", { name: "Look for changes in photos (2)" }).click();
  await page.locator(".found").getByText("Nothing has changed.").waitFor({ timeout: PATIENCE });
  await page.getByRole("button", { name: "Remove photos (2)" }).click();
  await page.getByRole("button", { name: "Remove 3 images from Ocelli" }).click();
  await done(page, 10);
  group.same("a removed folder is forgotten", await kept(), now);

  await inOrigin(page, "empty/nothing", []).catch(() => {});
  await page.evaluate(() => (globalThis.folderToPick = "empty/nothing"));
  await page.getByRole("button", { name: "Choose a folder" }).click();
  await page.getByRole("alert").getByText("There are no images in “nothing”").waitFor();
  await page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry("one", { recursive: true }));
  await page.getByRole("button", { name: "Look for changes in photos" }).click();
  await page.getByRole("alert").getByText("can't be read").waitFor({ timeout: PATIENCE });
  group.same("a folder that has vanished loses nothing", await kept(), now);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await page.close();

  // Another model sees all of them anew; this one's are kept beside.
  const third = await open(context, "tag", "?model=models/ocelli-tiny-q4/");
  await third.getByText(/of 10 indexed/).waitFor({ timeout: PATIENCE });
  group.same(
    "another model has seen none",
    [/(^|: )0 of 10 /.test(await third.locator(".state").first().innerText())],
    [true],
  );
  await third.close();
}

/** Pause, resume, cancel, go on. */
async function steering({ fresh, open, report, axe }) {
  const many = drawn(48);
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(withoutPicker);
  await context.addInitScript(countEmbeddings);
  const page = await open(context, "tag");
  const group = report.group("tag: pause, resume, cancel, go on");
  const folder = onDisk("many", many);
  await page.locator('input[data-kind="folder"]').setInputFiles(folder);
  await page.getByRole("button", { name: "Pause" }).click({ timeout: PATIENCE });
  await page.getByText(/^Paused\./).waitFor();
  // The batch under way is written to its end.
  const count = () => page.evaluate(() => embedded.length);
  let at = -1;
  while (at !== (at = await count())) await page.waitForTimeout(2000);
  group.same("paused: nothing more", [await count(), at < 48], [at, true]);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await page.getByRole("button", { name: "Resume" }).click();
  await page.waitForFunction((at) => embedded.length > at, at, { timeout: PATIENCE });
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Continue" }).waitFor({ timeout: PATIENCE });
  const cancelled = await count();
  group.same("cancelled: some are done", [cancelled > at, cancelled < 48], [true, true]);
  group.same("and said", [await page.locator(".state").innerText()], [`${cancelled} of 48 indexed.`]);
  await page.reload();
  const pick = page.getByRole("button", { name: "Choose “many”" });
  await pick.waitFor({ timeout: PATIENCE });
  const said = `${cancelled} of 48 indexed. Choose “many” again to continue.`;
  await page.getByText(said).waitFor({ timeout: PATIENCE });
  group.same("said at the next visit", [await page.locator(".state").innerText()], [said]);
  const chosen = page.waitForEvent("filechooser");
  await pick.click();
  await (await chosen).setFiles(folder);
  await done(page, 48);
  group.same("each picture once", [(await count()) + cancelled, new Set(await keptEmbeddings(page)).size], [48, 48]);
  group.rejects("one was lost", [(await count()) + cancelled - 1], [48]);
  await page.close();
}

/** Pictures without a folder: picked, and dropped. */
async function singles({ fresh, open, report }, pictures) {
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  const page = await open(context, "tag");
  const group = report.group("tag: single pictures, picked and dropped");
  const file = ({ name, bytes }) => ({ name, mimeType: "image/png", buffer: Buffer.from(bytes) });
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose photos" }).click();
  await (await chosen).setFiles(pictures.slice(0, 2).map(file));
  await done(page, 2);
  await arrive(page, "drop", file({ name: pictures[0].name, bytes: pictures[5].bytes }));
  await done(page, 3);
  const paths = async () => Object.keys(await tiles(page)).sort();
  const expected = [pictures[0].name, pictures[0].name.replace(".png", " (2).png"), pictures[1].name]
    .map((name) => `Single images/${name}`)
    .sort();
  group.same("a namesake is another picture", await paths(), expected);
  group.rejects("one is missing", await paths(), expected.slice(1));
  await arrive(page, "drop", { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.alloc(0) });
  await page.getByRole("alert").getByText("None of these files is an image").waitFor();
  await arrive(page, "drop", file({ name: "new.png", bytes: pictures[6].bytes }));
  await done(page, 4);
  group.same("the next drop works", [await page.getByRole("alert").getByText("None of these files").count()], [0]);
  await page.close();
}
