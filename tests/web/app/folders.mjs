// The page "Photos": a folder is indexed, tagged and kept; what goes wrong on the way is said, and the next click works.
import { countEmbeddings, drawn, onDisk, withoutPicker } from "../lib/collection.mjs";
import { large } from "./folders/large.mjs";
import { chip, choose, done, PATIENCE, saved, tagged, tiles, unfoldRules } from "./folders/page.mjs";
import { storage } from "./folders/storage.mjs";
import { viewer } from "./folders/viewer.mjs";
import { singles, steering, visits } from "./folders/visits.mjs";

const COUNT = 24;

export async function folders(tools) {
  const pictures = drawn(COUNT);
  await empty(tools);
  await results(tools, pictures);
  await visits(tools, pictures);
  await steering(tools);
  await singles(tools, pictures);
  await storage(tools, pictures);
  if (process.env.OCELLI_FULL === "1") await large(tools);
  else tools.report.skip("folders: 1,000 photos, and closed in the middle", "set OCELLI_FULL=1", { optional: true });
}

/** What a way of the menu "More" saves, as text. */
const savedText = async (page, way) => String((await saved(page, () => choose(page, "More", way))).bytes);

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
  const group = report.group("folders: empty, and samples to try");
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  const page = await open(context, "photos");
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "folders-empty");
  await page.getByRole("button", { name: "Try with 9 sample images" }).click();
  await done(page, 9);
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
  const page = await open(context, "photos");
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose a folder" }).click();
  await (await chosen).setFiles(folder);
  await done(page, whole, " · 2 unreadable");
  await tagged(page);

  const tags = report.group("folders: pictures of a folder and their tags");
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
  const says = Number((await chip(page, /^bicycle/).innerText()).replace(/\D/g, ""));
  await chip(page, /^bicycle/).click();
  const only = await tiles(page);
  tags.same("the chip's count", [says], [Object.keys(only).length]);
  tags.same(
    "only such",
    Object.values(only).map((labels) => labels.includes("bicycle")),
    Object.values(only).map(() => true),
  );
  await chip(page, /^All/).click();
  await page.getByLabel("Order").selectOption("Highest score first");
  const best = await page.$$eval(".results .pictures button", (all) =>
    all.map((tile) => Number(tile.querySelector(".tag")?.dataset.score ?? -1)),
  );
  tags.same(
    "surest first",
    best,
    [...best].sort((a, b) => b - a),
  );
  await page.getByLabel("Order").selectOption("Name");

  const files2 = report.group("folders: what is saved");
  const again = await tiles(page);
  const rows = readCsv(await savedText(page, "Save tags as CSV"));
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
  const parsed = JSON.parse(await savedText(page, "Save tags as JSON"));
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

  const judging = report.group("folders: other labels without running pictures");
  const before = (await page.evaluate(() => embedded)).length;
  judging.same("each picture once", [before], [whole]);
  await unfoldRules(page);
  await page.getByLabel("Labels to choose from").fill("pizza, octopus, =cmd");
  await chip(page, /^bicycle/).waitFor({ state: "detached", timeout: PATIENCE });
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
  await chip(page, /^Untagged/).click();
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
  const formula = readCsv(await savedText(page, "Save tags as CSV"))
    .flat()
    .filter((cell) => /^[=+@-]/.test(cell));
  judging.holds("no cell is a formula", formula.length === 0, formula.join());

  const broken = report.group("folders: files that are no pictures");
  await choose(page, "More", "Unreadable files (2)");
  const list = await page.$$eval(".broken li", (all) => all.map((one) => one.innerText.replace(/\s+/g, " ")));
  broken.same(
    "which, and why",
    list.map((line) =>
      /broken\.png This browser can't read the file as an image|empty\.jpg The file is empty/.test(line),
    ),
    [true, true],
  );
  broken.rejects(
    "a picture among them",
    list.map((line) => line.includes("0000-bicycle")),
    [true, true],
  );
  await shots(page, "folders-broken");

  const alike = report.group("folders: near-duplicates");
  await page.getByRole("button", { name: "All photos" }).click();
  await choose(page, "More", "Near-duplicates");
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
  await shots(page, "folders-duplicates");

  await page.getByRole("button", { name: "All photos" }).click();
  await unfoldRules(page);
  await page.getByLabel("All matches").check({ force: true });
  await page
    .getByLabel("Labels to choose from")
    .fill("bicycle, cactus, castle, cat, dog, guitar, octopus, pizza, rocket");
  await chip(page, /^bicycle/).waitFor({ timeout: PATIENCE });
  await tagged(page);
  await chip(page, /^All/).click();
  await viewer({ report, axe, shots }, page);
  await shots(page, "folders");
  await page.close();
}
