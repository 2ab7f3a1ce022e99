// The page "Photos": work on many photos. Alt texts and counts as tables, an error of its own for each photo, pause and cancel.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { drawn } from "../lib/collection.mjs";
import { choose, done, PATIENCE, saved } from "./folders/page.mjs";
import { HUB, imitateHub } from "./hub.mjs";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures");
const MODELS = {
  "google/owlv2-base-patch16-ensemble": join(fixtures, "owlv2"),
  "HuggingFaceTB/SmolVLM-256M-Instruct": join(fixtures, "decoders", "smolvlm"),
};
const COUNT = 3;

export async function errands({ fresh, open, report, axe, shots }) {
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await imitateHub(context, join(fixtures, "clip"), MODELS);
  const page = await open(context, "photos", "", (what) => what.startsWith(HUB) || /404/.test(what));
  const pictures = drawn(COUNT);
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose photos" }).click();
  await (
    await chosen
  ).setFiles(pictures.map(({ name, bytes }) => ({ name, mimeType: "image/png", buffer: Buffer.from(bytes) })));
  await done(page, COUNT);
  const names = pictures.map(({ name }) => `Single images/${name}`).sort();

  const describing = report.group("errands: describe all");
  await choose(page, "More", "Describe all…");
  const card = page.getByRole("region", { name: "Model" });
  describing.same(
    "its model and its size come first",
    [/SmolVLM 256M[\s\S]*513 MB/.test(await card.innerText())],
    [true],
  );
  await load(page, card);
  await page.getByRole("button", { name: `Describe all: ${COUNT} photos` }).click();
  await page.getByText(`${COUNT} photos done.`).waitFor();
  const texts = await rows(page);
  describing.same(
    "a line for each photo",
    texts
      .slice(1)
      .map(([path]) => path)
      .sort(),
    names,
  );
  describing.same(
    "no errors",
    texts.slice(1).map((row) => row[2]),
    names.map(() => ""),
  );
  describing.rejects("a table without photos", texts.slice(0, 1), texts);
  const found = await axe(page);
  describing.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "errands-describe");
  await page.getByRole("button", { name: "All photos" }).click();

  const counting = report.group("errands: count things");
  await choose(page, "More", "Count things…");
  // The app's own model knows drawings.
  const offered = async () => [/OWLv2 base[\s\S]*620 MB/.test(await card.innerText())];
  counting.same("a model for photos", await offered(), [true]);
  await load(page, card);
  await page.getByLabel("Things to count").fill("dog, guitar");
  await page.getByRole("button", { name: `Count things: ${COUNT} photos` }).click();
  await page.getByText(`${COUNT} photos done.`).waitFor();
  const counts = await rows(page);
  counting.same("a column for each word", counts[0], ["path", "dog", "guitar", "error"]);
  counting.same(
    "a number for each",
    counts.slice(1).map((row) => /^\d+,\d+$/.test(row.slice(1, 3).join())),
    names.map(() => true),
  );
  // A quick device is done before a click from outside arrives.
  await page.getByRole("button", { name: `Count things: ${COUNT} photos` }).evaluate(async (button) => {
    const errand = button.closest("ocelli-errand");
    const cancel = () => [...errand.querySelectorAll("button")].find(({ textContent }) => textContent === "Cancel");
    button.click();
    while (!cancel()) await new Promise(requestAnimationFrame);
    cancel().click();
  });
  await page.getByRole("button", { name: `Count things: ${COUNT} photos` }).waitFor();
  counting.holds("cancelled: it can begin again", (await page.locator(".outcomes li").count()) <= COUNT);

  // The next visit may not read the files: each photo has its error, and none ends the work.
  await page.reload();
  await done(page, COUNT);
  await choose(page, "More", "Count things…");
  await load(page, card);
  await page.getByRole("button", { name: `Count things: ${COUNT} photos` }).click();
  await page.getByText(`0 photos done, ${COUNT} failed.`).waitFor();
  const errors = (await rows(page)).slice(1).map((row) => row.at(-1));
  counting.same(
    "an error for each",
    errors.map((error) => error.includes("Choose its folder again")),
    names.map(() => true),
  );
  counting.rejects(
    "no errors",
    errors,
    names.map(() => ""),
  );
  await page.close();
}

/** Gets the model of the card: a large one is asked about first. */
async function load(page, card) {
  await card.getByRole("button", { name: /^(Download|Load)$/ }).click();
  const sure = page.getByRole("dialog").getByRole("button", { name: "Download" });
  await sure.or(page.locator("ocelli-errand form")).first().waitFor();
  if (await sure.isVisible()) await sure.click();
  await page.locator("ocelli-errand form").waitFor();
}

/** Rows of the table that is saved. */
async function rows(page) {
  const { bytes } = await saved(page, () => page.getByRole("button", { name: "Save as CSV" }).click());
  return String(bytes)
    .replace(/^\uFEFF/, "")
    .trim()
    .split("\r\n")
    .map((line) => [...line.matchAll(/"((?:[^"]|"")*)"/g)].map(([, cell]) => cell.replaceAll('""', '"')));
}
