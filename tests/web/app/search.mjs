// The page "Photos", searched: samples are found by words and by pictures, the right ones first; the newest words win; an index goes
// to a file and comes back; what is of another model is refused.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { arrive } from "../lib/collection.mjs";
import { choose, done, paths, search as words, unfoldRules } from "./folders/page.mjs";

const samples = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www", "samples");
const NAMES = ["bicycle", "cactus", "castle", "dog", "guitar", "octopus", "pizza", "rocket"];
const LONG = { timeout: 120_000 };

const hits = async (page) => (await paths(page)).map(nameOf);
const scores = (page) =>
  page.$$eval(".results .pictures button", (all) => all.map(({ dataset }) => Number(Number(dataset.score).toFixed(3))));
/** Of the two lists, the likely hits and the others, whether each is best first. */
const fall = (page) =>
  page.$$eval(".results ocelli-picture-grid", (grids) =>
    grids.every((grid) => {
      const scores = [...grid.querySelectorAll(".pictures button")].map(({ dataset }) => Number(dataset.score));
      return scores.every((score, i) => i === 0 || score <= scores[i - 1]);
    }),
  );
const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1).replace(".png", "");

/** Until the hits are those of what was asked last. */
const settled = (page) => page.waitForFunction(() => document.querySelector('.results[aria-busy="false"]'), null, LONG);

/** Asks by a picture of this name: it is read before it is asked. */
async function asked(page, name, put) {
  await put();
  await page.getByText(`Photos like ${name}`).waitFor(LONG);
  await settled(page);
}

async function found(page, typed) {
  await words(page).fill(typed);
  await settled(page);
  return hits(page);
}

export async function search({ fresh, open, report, axe, shots }) {
  const context = await fresh();
  const page = await open(context, "photos");
  await empty(page, report, axe, shots);
  await done(page, NAMES.length);
  await byWords(page, report, axe, shots);
  await byPicture(page, report, axe, shots);
  await folders(page, report);
  const folder = mkdtempSync(join(tmpdir(), "ocelli-search-"));
  try {
    await files(page, folder, report, axe, shots);
    const before = await answers(page);
    await page.close();
    await kept(await open(context, "photos"), report);
    await elsewhere(await open(await fresh(), "photos"), folder, report, before);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An empty collection is filled where it is met. */
async function empty(page, report, axe, shots) {
  const group = report.group("search: an empty collection");
  group.same("says so", [await page.getByRole("heading", { level: 2 }).first().innerText()], ["Drop your photos here"]);
  group.rejects("a form is there", [await words(page).count()], [1]);
  const wrong = await axe(page);
  group.holds("axe", wrong.length === 0, wrong.join(" | "));
  await shots(page, "search-empty");
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose photos" }).click();
  await (await chosen).setFiles(NAMES.map((name) => join(samples, `${name}.png`)));
  await done(page, NAMES.length);
  const first = page.getByRole("group", { name: "Suggestions" }).getByRole("button", { name: "guitar" });
  await first.click();
  await settled(page);
  group.same("a suggestion is asked", [(await hits(page))[0], await words(page).inputValue()], ["guitar", "guitar"]);
  group.same("and makes room", [await first.count()], [0]);
  await words(page).fill("");
}

async function byWords(page, report, axe, shots) {
  const group = report.group("search: words find pictures");
  for (const name of NAMES) {
    const names = await found(page, name);
    group.same(`${name}: first`, [names[0]], [name]);
    group.rejects(`${name}: last`, [names.at(-1)], [name]);
    group.holds(
      `${name}: all, each once`,
      new Set(names).size === NAMES.length && names.length === NAMES.length,
      names.join(),
    );
  }
  group.holds("scores fall", (await scores(page)).length === NAMES.length && (await fall(page)));
  const wrong = await axe(page);
  group.holds("axe", wrong.length === 0, wrong.join(" | "));
  await shots(page, "search");

  const typing = report.group("search: as one types, the last words win");
  await words(page).fill("");
  await words(page).pressSequentially("guitar", { delay: 15 });
  await words(page).fill("");
  await words(page).pressSequentially("cactus", { delay: 15 });
  await settled(page);
  typing.same("the last", [(await hits(page))[0]], ["cactus"]);
  typing.rejects("the first", [(await hits(page))[0]], ["guitar"]);
  const all = async () => (await hits(page)).length;
  await words(page).fill("");
  await settled(page);
  typing.same("nothing asked: all photos", [await all()], [NAMES.length]);

  const minus = report.group("search: a minus takes away");
  const animal = await found(page, "animal");
  const other = await found(page, "animal -dog");
  minus.same("an animal", [animal[0]], ["dog"]);
  minus.holds("but no dog", other.indexOf("dog") > 0, other.join());
  minus.rejects("the check meets the dog", [other[0]], ["dog"]);
  await found(page, "dog -dog");
  minus.same(
    "nothing is left",
    [await all(), await page.getByText("No matches. Try other words.").isVisible()],
    [0, true],
  );
  await words(page).fill("-dog");
  await page.getByText("Add something to look for, too.").waitFor(LONG);

  const sentence = report.group("search: the sentence around the words");
  await unfoldRules(page);
  const field = page.getByLabel("Search prompt");
  await found(page, "rocket");
  const before = await scores(page);
  await field.fill("a rusty {} under water");
  await settled(page);
  const changed = await scores(page);
  sentence.rejects("another sentence, other scores", changed, before);
  await field.fill("without a place");
  await page.getByText("Put {} where the words belong").waitFor();
  sentence.same("a wrong one leaves the hits", await scores(page), changed);
  await field.fill("");
  await settled(page);
  sentence.same("none again, the old scores", await scores(page), before);
  await page.getByRole("button", { name: "Labels & rules" }).click();
}

/** A sample somewhat changed, so that it is not the same file as in the collection. */
async function changed(page, name) {
  const data = await page.evaluate(async (name) => {
    const image = new Image();
    image.src = `./samples/${name}.png`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [400, 400];
    const context = canvas.getContext("2d");
    context.fillStyle = "#eef";
    context.fillRect(0, 0, 400, 400);
    context.drawImage(image, 50, 60, 300, 270);
    return canvas.toDataURL("image/png").split(",")[1];
  }, name);
  return { name: `my ${name}.png`, mimeType: "image/png", buffer: Buffer.from(data, "base64") };
}

async function byPicture(page, report, axe, shots) {
  const group = report.group("search: a picture finds pictures");
  const octopus = await changed(page, "octopus");
  await asked(page, octopus.name, () => page.locator("#search-picture").setInputFiles(octopus));
  group.same("chosen", [(await hits(page))[0]], ["octopus"]);
  group.rejects("another one", [(await hits(page))[0]], ["pizza"]);
  const castle = await changed(page, "castle");
  await asked(page, castle.name, () => arrive(page, "drop", castle, "form.search"));
  group.same("dropped", [(await hits(page))[0]], ["castle"]);
  const pizza = await changed(page, "pizza");
  await asked(page, pizza.name, () => arrive(page, "paste", pizza));
  group.same("pasted", [(await hits(page))[0]], ["pizza"]);
  const before = await hits(page);
  const notes = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture") };
  await arrive(page, "drop", notes, "form.search");
  await page.getByText("That is not an image file.").waitFor();
  group.same("what is none leaves the hits", await hits(page), before);
  await page
    .locator("#search-picture")
    .setInputFiles({ name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.getByText("This image can't be read").waitFor(LONG);
  await page.getByRole("button", { name: "Back to words" }).click();
  group.same("then words work again", [(await found(page, "guitar"))[0]], ["guitar"]);

  await found(page, "bicycle");
  await page.locator('.results .pictures button[data-path$="bicycle.png"]').click();
  const dialog = page.getByRole("dialog");
  await dialog.locator("img").waitFor();
  group.same("a hit opens", [await dialog.getByRole("heading").innerText()], ["bicycle.png"]);
  const wrong = await axe(page);
  group.holds("axe", wrong.length === 0, wrong.join(" | "));
  await shots(page, "search-hit");
  const heading = dialog.getByRole("heading");
  const others = (await hits(page)).map((name) => `${name}.png`);
  await page.keyboard.press("ArrowRight");
  const right = await heading.innerText();
  await page.keyboard.press("ArrowLeft");
  const at = others.indexOf("bicycle.png");
  group.same("arrows lead to its neighbours", [right, await heading.innerText()], [others[at + 1], "bicycle.png"]);
  await dialog.getByRole("button", { name: "More like this" }).click();
  await settled(page);
  const like = await hits(page);
  await shots(page, "search-like");
  const file = { name: "its file.png", mimeType: "image/png", buffer: readFileSync(join(samples, "bicycle.png")) };
  await asked(page, file.name, () => page.locator("#search-picture").setInputFiles(file));
  const same = await hits(page);
  group.same("more like it: what its file finds, but itself", like, same.slice(1));
  group.same("which its file finds first", [same[0], (await scores(page))[0]], ["bicycle", 1]);
  await page.getByRole("button", { name: "Back to words" }).click();
}

/** Hits of one folder, and more of them by and by. */
async function folders(page, report) {
  const group = report.group("search: one folder, and more hits");
  const folder = mkdtempSync(join(tmpdir(), "many-"));
  try {
    const pictures = ["dog", "rocket"].flatMap((name) => Array.from({ length: 15 }, (_, i) => [name, i]));
    for (const [name, i] of pictures) {
      const { buffer } = await changed(page, name);
      writeFileSync(join(folder, `${name}-${i}.png`), buffer);
    }
    await page.locator('input[type="file"][data-kind="folder"]').setInputFiles(folder);
    await done(page, NAMES.length + 30);
    await found(page, "rocket");
    group.same("24 at first", [(await hits(page)).length], [24]);
    group.same(
      "the rockets are among them",
      [(await hits(page)).filter((name) => name.startsWith("rocket")).length],
      [16],
    );
    await page.getByText("Less likely matches").click();
    await page.getByRole("button", { name: "Show more" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".results .pictures button").length === 38, null, LONG);
    group.holds("then all, and no more button", (await page.getByRole("button", { name: "Show more" }).count()) === 0);
    await page.getByRole("combobox", { name: "Folder" }).selectOption({ index: 1 });
    await settled(page);
    await page.waitForFunction(() => document.querySelectorAll(".results .pictures button").length !== 38, null, LONG);
    const one = await hits(page);
    group.same("of one folder alone", [...one].sort(), NAMES);
    group.rejects("of all", [one.length], [24]);
    await page.getByRole("combobox", { name: "Folder" }).selectOption({ label: "All folders" });
    // Gone again: the hits follow.
    await page.getByRole("button", { name: "2 folders" }).click();
    await page.getByRole("button", { name: /^Remove many-/ }).click();
    await page.getByRole("button", { name: /^Remove .* from Ocelli$/ }).click();
    await done(page, NAMES.length);
    group.same("removed from the collection, from the hits", [...(await found(page, "rocket"))].sort(), NAMES);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The index as files, and what is none of ours. */
async function files(page, folder, report, axe, shots) {
  const group = report.group("search: the index as a file");
  const saved = async (kind) => {
    await page.getByLabel("File type").selectOption(kind);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export" }).click(),
    ]);
    const path = join(folder, download.suggestedFilename());
    await download.saveAs(path);
    return path;
  };
  await found(page, "");
  await choose(page, "More", "Search index…");
  const lines = readFileSync(await saved("jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  group.same(
    "JSON lines: each picture",
    lines.map(({ id }) => id.slice(id.lastIndexOf("/") + 1).replace(".png", "")).sort(),
    NAMES,
  );
  group.holds(
    "with its vector",
    lines.every(({ vector }) => Math.abs(Math.hypot(...vector) - 1) < 1e-5),
  );
  const npy = readFileSync(await saved("npy"));
  group.same(
    "NumPy",
    [
      npy.subarray(1, 6).toString(),
      npy
        .toString("latin1")
        .match(/\((\d+), (\d+)\)/)
        .slice(1)
        .join(),
    ],
    ["NUMPY", `${NAMES.length},${lines[0].vector.length}`],
  );
  const path = await saved("safetensors");

  const take = (file) => page.locator("#index-file").setInputFiles(file);
  const refusal = async () => {
    const notice = page.locator("ocelli-index-file .notice");
    await notice.waitFor(LONG);
    return notice.innerText();
  };
  // The same file of another model: its hash is in the header.
  const [own] = readFileSync(path)
    .toString("latin1")
    .match(/[0-9a-f]{64}/);
  const foreign = Buffer.from(readFileSync(path).toString("latin1").replace(own, "0".repeat(64)), "latin1");
  await take({ name: "other.safetensors", mimeType: "application/octet-stream", buffer: foreign });
  const words = await refusal();
  group.holds("of another model: refused", /another model/.test(words), words);
  await take({
    name: "broken.safetensors",
    mimeType: "application/octet-stream",
    buffer: readFileSync(path).subarray(0, -100),
  });
  await page.waitForFunction(
    () => /Expected a file/.test(document.querySelector("ocelli-index-file .notice")?.textContent),
    null,
    LONG,
  );
  await take(join(folder, "ocelli-index.npy"));
  await page.waitForFunction(
    () => /vectors alone/.test(document.querySelector("ocelli-index-file .notice")?.textContent),
    null,
    LONG,
  );
  const wrong = await axe(page);
  group.holds("axe", wrong.length === 0, wrong.join(" | "));
  await shots(page, "search-files");
  await page.getByRole("button", { name: "All photos" }).click();
  group.same("none of them changed anything", [...(await found(page, "castle"))].sort(), NAMES);
  group.rejects("the check meets another collection", NAMES.slice(1), NAMES);
  await choose(page, "More", "Search index…");
  await take(path);
  await page.getByText("0 photos imported.").waitFor(LONG);
  group.holds(
    "what is here already is not taken twice",
    (await page.locator("ocelli-index-file .notice").count()) === 0,
  );
  await page.getByRole("button", { name: "All photos" }).click();
}

/** A reload: the collection is there, before any file was picked again. */
async function kept(page, report) {
  const group = report.group("search: on the next visit");
  await done(page, NAMES.length);
  group.same("found as before", [(await found(page, "pizza"))[0]], ["pizza"]);
  group.rejects("and nothing else", [(await hits(page))[0]], ["dog"]);
  // Folded away once the model has told them from the likely ones, and what is folded has no preview.
  await page.getByText("Less likely matches").click();
  await page.waitForFunction(
    (count) => document.querySelectorAll(".results .pictures img").length === count,
    NAMES.length,
    LONG,
  );
  await page.close();
}

/** What some words find, with scores. */
async function answers(page) {
  const all = [];
  for (const asked of ["bicycle", "an animal", "a castle"]) {
    const names = await found(page, asked);
    const shown = await scores(page);
    all.push(...names.map((name, i) => `${asked}: ${name} ${shown[i]}`));
  }
  return all;
}

/** Another browser, which has nothing but the file. */
async function elsewhere(page, folder, report, before) {
  const group = report.group("search: an index from a file");
  await page.getByText("Import a search index").click();
  await page.waitForFunction(
    () => document.querySelector("ocelli-model-status [role=status]").textContent.includes("ready"),
    null,
    LONG,
  );
  group.same("nothing is here", [await page.locator(".pictures").count()], [0]);
  await page.locator("#index-file").setInputFiles(join(folder, "ocelli-index.safetensors"));
  await page.getByText(`${NAMES.length} photos`).first().waitFor(LONG);
  const now = await answers(page);
  group.same("the same hits", now, before);
  group.rejects("in another order", now, [...before].reverse());
  group.holds("all of them", before.length === 3 * NAMES.length, before.length);
  await page.close();
}
