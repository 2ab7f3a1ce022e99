// The page "Photos": selecting many, what can be taken out of them, and near-duplicates that are acted on.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { moduleOf } from "../lib/app-module.mjs";
import { drawn, inOrigin, onDisk, pickOrigin, withoutPicker } from "../lib/collection.mjs";
import { askFolder, choose, done, PATIENCE, paths, saved, tagged, tiles } from "./folders/page.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const { unzipSync } = createRequire(join(root, "www", "package.json"))("fflate");
const photo = readFileSync(join(root, "tests", "fixtures", "images", "photo-113x79.jpg"));

export async function select(tools) {
  await rules(tools.report);
  const context = await tools.fresh({ permissions: ["camera", "clipboard-read", "clipboard-write"] });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(withoutPicker);
  const page = await tools.open(context, "photos");
  const pictures = drawn(18);
  const folder = onDisk("trip", [
    ...pictures,
    { name: "copy.png", bytes: pictures[0].bytes },
    { name: "small.jpg", bytes: photo },
    { name: "larger file.jpg", bytes: Buffer.concat([photo, Buffer.alloc(5000)]) },
  ]);
  await page.locator('input[data-kind="folder"]').setInputFiles(folder);
  await done(page, 21);
  await tagged(page);
  await page.getByLabel("Order").selectOption("Name");
  await mouse(page, tools);
  await exports(page, tools, folder);
  await duplicates(page, tools);
  await page.close();
  await beside(tools, pictures);
}

/** Rules that need no browser. */
async function rules(report) {
  const { xmp, sidecarOf } = await moduleOf("src/pages/photos/xmp.ts");
  const group = report.group("select: a sidecar");
  const text = xmp(["dog", "salt & <pepper>"]);
  const items = [...text.matchAll(/<rdf:li>(.*?)<\/rdf:li>/g)].map(([, item]) => item);
  group.same("its tags, escaped", items, ["dog", "salt &amp; &lt;pepper&gt;"]);
  group.rejects("not escaped", items, ["dog", "salt & <pepper>"]);
  group.same("its name", [sidecarOf("trip/a.jpg")], ["trip/a.jpg.xmp"]);

  const { bestOf } = await moduleOf("src/pages/photos/best.ts");
  const best = report.group("select: which of some copies is kept");
  const [small, large, heavy] = [
    { path: "small", width: 10, height: 10, size: 900 },
    { path: "large", width: 20, height: 20, size: 100 },
    { path: "heavy", width: 20, height: 20, size: 200 },
  ];
  const kept = (...photos) => bestOf(photos);
  best.same(
    "most pixels, then the larger file, then the first",
    [kept(small, large), kept(large, heavy), kept(large, { ...large, path: "other" })],
    ["large", "heavy", "large"],
  );
  best.rejects("the larger file first", [kept(small, large)], ["small"]);
}

async function mouse(page, { report, axe, shots }) {
  const group = report.group("select: by mouse");
  const all = await paths(page);
  const mark = (path) => page.locator(`.pictures li:has([data-path="${path}"]) input`);
  const selected = () => page.$$eval(".selected button", (tiles) => tiles.map(({ dataset }) => dataset.path));
  await mark(all[1]).check({ force: true });
  group.same("the round mark selects", await selected(), [all[1]]);
  await page.locator(`[data-path="${all[4]}"]`).click({ modifiers: ["Shift"] });
  group.same("with Shift, a range", await selected(), all.slice(1, 5));
  await page.locator(`[data-path="${all[2]}"]`).click();
  group.same("while some are, a click does, too", await selected(), [all[1], all[3], all[4]]);
  group.rejects("the range still", await selected(), all.slice(1, 5));
  await page.getByRole("button", { name: "Select all 21 photos shown" }).click();
  group.same("all that are shown", await selected(), all);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "select");
  await page.getByRole("button", { name: "Clear" }).click();
  group.same("none", await selected(), []);
  await page.locator(`[data-path="${all[2]}"]`).click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
}

async function exports(page, { report, shots }, folder) {
  const group = report.group("select: what is taken out");
  const tags = await tiles(page);
  const some = Object.keys(tags).slice(0, 5);
  for (const path of some) await page.locator(`.pictures li:has([data-path="${path}"]) input`).check({ force: true });
  const taken = (way) => saved(page, () => choose(page, "Export", way));
  await page.locator("summary", { hasText: "Export" }).click();
  await shots(page, "select-export");
  await page.keyboard.press("Escape");
  const list = await taken("List of paths");
  group.same("a list of paths", String(list.bytes).trim().split("\n"), some);
  group.rejects("another one", String(list.bytes).trim().split("\n"), Object.keys(tags));
  await choose(page, "Export", "Copy the paths");
  await page.waitForFunction(async () => (await navigator.clipboard.readText()) !== "");
  group.same("copied", (await page.evaluate(() => navigator.clipboard.readText())).split("\n"), some);

  const zip = unzipSync((await taken(/^ZIP of the originals/)).bytes);
  group.same("a ZIP: its files", Object.keys(zip).sort(), [...some].sort());
  const same = (path) => Buffer.compare(Buffer.from(zip[path]), readFileSync(join(folder, "..", path))) === 0;
  group.same(
    "byte by byte",
    some.map(same),
    some.map(() => true),
  );
  await page.getByText(/Saved 5 photos/).waitFor();
  const both = unzipSync((await taken("ZIP with tags as XMP sidecars")).bytes);
  const withTags = some.filter((path) => tags[path].length > 0);
  group.same("with sidecars", Object.keys(both).sort(), [...some, ...withTags.map((path) => `${path}.xmp`)].sort());
  group.rejects("without", Object.keys(both).sort(), [...some].sort());
  const only = unzipSync((await taken("XMP sidecars only (ZIP)")).bytes);
  group.same(
    "sidecars alone have the tags of the page",
    Object.entries(only).map(([path, bytes]) => `${path} ${subjects(bytes)}`),
    withTags.map((path) => `${path}.xmp ${tags[path]}`),
  );
  await page.getByRole("button", { name: "Clear" }).click();
}

const subjects = (bytes) =>
  [
    ...Buffer.from(bytes)
      .toString()
      .matchAll(/<rdf:li>(.*?)<\/rdf:li>/g),
  ].map(([, tag]) => tag);

async function duplicates(page, { report, axe, shots }) {
  const group = report.group("select: near-duplicates, kept and discarded");
  await choose(page, "More", "Near-duplicates");
  await page.locator(".group").nth(1).waitFor();
  const discarded = () =>
    page.$$eval(".group .discarded button", (all) => all.map(({ dataset }) => dataset.path).sort());
  // Of two that are equal in all, the first one in the collection is kept.
  const before = await discarded();
  group.same("the larger file of the same pixels is kept", [before.includes("trip/small.jpg")], [true]);
  group.rejects("the smaller one", [before.includes("trip/larger file.jpg")], [true]);
  group.same("one of the two that are equal", [before.filter((path) => /copy|0000-/.test(path)).length], [1]);
  const list = async () =>
    String((await saved(page, () => page.getByRole("button", { name: "Save the list" }).click())).bytes);
  group.same("the list", (await list()).trim().split("\n").sort(), before);
  await page.getByLabel("Keep small.jpg").check();
  group.same(
    "marked otherwise",
    await discarded(),
    before.filter((path) => path !== "trip/small.jpg"),
  );
  await page.getByRole("button", { name: "Copy the list" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  group.same(
    "copied",
    (await page.evaluate(() => navigator.clipboard.readText())).split("\n").sort(),
    await discarded(),
  );
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "select-duplicates");
  await page.getByRole("button", { name: "All photos" }).click();
  group.same("nothing is gone", [(await paths(page)).length], [21]);
}

/** Sidecars next to the files, in a folder that the browser can write to; those that are there stay as they are. */
async function beside({ fresh, open, report }, pictures) {
  const group = report.group("select: sidecars next to the files");
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(pickOrigin);
  const page = await open(context, "photos");
  const own = { name: `${pictures[1].name}.xmp`, bytes: Buffer.from("somebody's work") };
  await inOrigin(page, "trip", [...pictures.slice(0, 4), own]);
  await page.evaluate(() => (globalThis.folderToPick = "trip"));
  await askFolder(page);
  await done(page, 4);
  await tagged(page);
  const tags = await tiles(page);
  const withTags = Object.keys(tags).filter((path) => tags[path].length > 0);
  await page.locator(".results .pictures button").first().focus();
  await page.keyboard.press("Control+a");
  await choose(page, "Export", "Write XMP sidecars next to the files…");
  await page.getByText(/Wrote \d+ sidecars?\./).waitFor();
  const texts = await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("trip");
    const found = {};
    for await (const [name, file] of folder.entries())
      if (name.endsWith(".xmp")) found[`trip/${name}`] = await (await file.getFile()).text();
    return found;
  });
  const mine = `trip/${own.name}`;
  group.same(
    "one for each photo with tags",
    Object.keys(texts).sort(),
    [...new Set([...withTags.map((path) => `${path}.xmp`), mine])].sort(),
  );
  group.same(
    "with its tags",
    withTags
      .map((path) => `${path}.xmp`)
      .filter((path) => path !== mine)
      .map((path) => String(subjects(texts[path]))),
    withTags.filter((path) => `${path}.xmp` !== mine).map((path) => String(tags[path])),
  );
  group.same("what was there stays", [texts[mine]], ["somebody's work"]);
  group.rejects("it is written over", [texts[mine].includes("rdf:li")], [true]);
  await page.close();
}
