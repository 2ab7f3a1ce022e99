// The page "Photos", looked through: photos first, months, filters, what cannot be opened, an address of each search, and all by keyboard.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { moduleOf } from "../lib/app-module.mjs";
import { drawn, onDisk, withoutPicker } from "../lib/collection.mjs";
import { withDate } from "../lib/exif.mjs";
import { choose, done, PATIENCE, paths, search, tagged, tiles } from "./folders/page.mjs";
import { SCREENS, tooWide, watchShifts } from "./layout.mjs";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures", "images");
const photo = readFileSync(join(fixtures, "photo-113x79.jpg"));
const TAKEN = "2019:07:04 12:30:00";

export async function browse(tools) {
  await rules(tools.report);
  const context = await tools.fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(withoutPicker);
  await context.addInitScript(watchShifts);
  const page = await tools.open(context, "photos");
  const first = onDisk("trip", [
    ...drawn(24),
    { name: "summer.jpg", bytes: withDate(photo, TAKEN) },
    { name: "IMG_1.HEIC", bytes: Buffer.from("\0\0\0\x18ftypheic\0\0\0\0", "latin1") },
  ]);
  await page.locator('input[data-kind="folder"]').setInputFiles(first);
  await done(page, 25, " · 1 unreadable");
  await tagged(page);
  await heic(page, tools);
  await months(page, tools);
  await filters(page, tools);
  await keyboard(page, tools);
  await address(page, context, tools);
  await layout(context, tools);
}

/** Rules that need no browser. */
async function rules(report) {
  const { takenAt } = await moduleOf("src/state/exif.ts");
  const dates = report.group("browse: when a photo was taken");
  const at = (bytes) => String(takenAt(new Uint8Array(bytes)));
  const expected = String(new Date(2019, 6, 4, 12, 30).getTime());
  dates.same("in EXIF", [at(withDate(photo, TAKEN))], [expected]);
  dates.rejects("an hour later", [at(withDate(photo, "2019:07:04 13:30:00"))], [expected]);
  dates.same(
    "a clock that was never set, data that break off, none",
    [withDate(photo, "0000:00:00 00:00:00"), withDate(photo, TAKEN).subarray(0, 60), photo].map(at),
    ["undefined", "undefined", "undefined"],
  );

  const { profileOf, maybeTurnedWebp } = await moduleOf("src/state/profile.ts");
  const colours = report.group("browse: colours of a file");
  const bytes = (text) => new Uint8Array(Buffer.from(text, "latin1"));
  const wide = [..."Display P3"].map((letter) => `\0${letter}`).join("");
  colours.same(
    "by its profile",
    ["\xff\xd8", "ICC_PROFILE\0 sRGB IEC", `ICC_PROFILE\0 ${wide}`, "ICC_PROFILE\0 Adobe RGB"].map((text) =>
      profileOf(bytes(text)),
    ),
    ["srgb", "srgb", "display-p3", "other"],
  );
  colours.rejects("another profile", [profileOf(bytes("ICC_PROFILE\0 Adobe RGB"))], ["srgb"]);
  colours.same(
    "a WebP that may lie on its side",
    ["RIFF....WEBPVP8X....\x08", "RIFF....WEBPVP8X....\x10", "RIFF....WEBPVP8 ....\x08"].map((text) =>
      String(maybeTurnedWebp(bytes(text))),
    ),
    ["true", "false", "false"],
  );

  const { Ahead } = await moduleOf("src/state/library/ahead.ts");
  const ahead = report.group("browse: what is decoded ahead");
  const items = Array.from({ length: 40 }, (_, i) => i);
  let [held, most] = [0, 0];
  const weigh = () => 12;
  const work = async (item) => {
    await new Promise((resolve) => setTimeout(resolve, (item * 7) % 5));
    most = Math.max(most, (held += weigh()));
    return item;
  };
  const stream = new Ahead(items, work, weigh, 48);
  const taken = [];
  for (let some; (some = await stream.take(8)).length > 0;) {
    taken.push(...some);
    await new Promise((resolve) => setTimeout(resolve, 3));
    held -= some.length * weigh();
  }
  ahead.same("each once, in order", taken, items);
  ahead.rejects("one is missing", taken.slice(1), items);
  // What is taken has been let go of by the stream, and is still held by who took it.
  ahead.same("no more than its weight, and what was taken", [most <= 48 + 24 + 5 * 12, most > 24], [true, true]);
  const broken = new Ahead(items, work, weigh, 48);
  await broken.take(2);
  const rest = await broken.end();
  ahead.same("ended: the rest never begins", [rest.length < 12, (await broken.take(8)).length], [true, 0]);
}

async function heic(page, { report, shots }) {
  const group = report.group("browse: what this browser cannot open");
  await choose(page, "More", "Unreadable files (1)");
  const said = await page.locator(".broken li").innerText();
  group.same(
    "by name, with a way out",
    [said.includes("Chrome can't open HEIC. Export as JPEG, or use Safari.")],
    [true],
  );
  group.rejects("a file that is broken", [said.includes("can't read the file")], [true]);
  await shots(page, "browse-unreadable");
  await page.getByRole("button", { name: "All photos" }).click();
}

const headings = (page) => page.$$eval(".tiles h2", (all) => all.map(({ textContent }) => textContent));

async function months(page, { report }) {
  const group = report.group("browse: months");
  const now = new Intl.DateTimeFormat("en", { month: "long", year: "numeric" }).format(new Date());
  group.same("newest first", await headings(page), [now, "July 2019"]);
  group.same("a photo under the month in which it was taken", [(await paths(page)).at(-1)], ["trip/summer.jpg"]);
  await page.getByLabel("Order").selectOption("Oldest first");
  group.same("oldest first", await headings(page), ["July 2019", now]);
  await page.getByLabel("Order").selectOption("Name");
  group.same("by name: no headings", await headings(page), []);
  group.rejects("months by name", await headings(page), [now]);
  const names = await paths(page);
  group.same("by name", names, [...names].sort());
}

async function filters(page, { report }) {
  const group = report.group("browse: filters");
  const all = await paths(page);
  await page.locator(".dates summary").click();
  await page.getByLabel("To", { exact: true }).fill("2020-01-01");
  await page.locator(".dates summary", { hasText: "Until 2020-01-01" }).waitFor();
  group.same("until a day", await paths(page), ["trip/summer.jpg"]);
  await page.getByLabel("To", { exact: true }).fill("");
  await page.getByLabel("From", { exact: true }).fill("2019-07-05");
  await page.locator(".dates summary", { hasText: "Since 2019-07-05" }).waitFor();
  group.same("since the day after", [(await paths(page)).length], [24]);
  await page.getByLabel("From", { exact: true }).fill("2019-07-04");
  await page.locator(".dates summary", { hasText: "Since 2019-07-04" }).waitFor();
  group.same("since the day itself", [(await paths(page)).length], [25]);
  await page.getByRole("button", { name: "Any date" }).click();
  const chips = page.getByRole("group", { name: "Show photos with" });
  await chips.getByRole("button", { name: /^bicycle/ }).click();
  const bicycles = Object.values(await tiles(page));
  group.same("a tag", [bicycles.length > 0, bicycles.every((tags) => tags.includes("bicycle"))], [true, true]);
  // A search goes through what is shown.
  await search(page).fill("guitar");
  await page.waitForFunction(
    (count) => document.querySelectorAll('.results[aria-busy="false"] button[data-score]').length === count,
    bicycles.length,
    { timeout: PATIENCE },
  );
  group.same("a search within it", [(await paths(page)).length], [bicycles.length]);
  group.rejects("a search in all", [(await paths(page)).length], [24]);
  await search(page).fill("");
  await chips.getByRole("button", { name: /^bicycle/ }).click();
  group.same("a second click shows all again", await paths(page), all);
}

/** Without a mouse: from the search to a photo, its neighbours, and a selection. */
async function keyboard(page, { report, axe }) {
  const group = report.group("browse: by keyboard alone");
  const at = () => page.evaluate(() => document.activeElement?.dataset?.path);
  await search(page).focus();
  let stops = 0;
  while (!(await at()) && stops++ < 60) await page.keyboard.press("Tab");
  const [one] = await paths(page);
  group.same("Tab leads to the photos, as one stop", [await at()], [one]);
  group.rejects("it leads past them", [await at()], [undefined]);
  await page.keyboard.press("ArrowDown");
  const below = await at();
  await page.keyboard.press("ArrowUp");
  group.same("down and up again", [below !== one, await at()], [true, one]);
  await page.keyboard.press("Space");
  await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Shift+ArrowRight");
  await page.getByText("3 photos selected").waitFor();
  const found = await axe(page);
  group.holds("axe, with a selection", found.length === 0, found.join(" | "));
  await page.keyboard.press("Escape");
  group.same("Escape lets go", [await page.locator(".selected").count()], [0]);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  const more = page.locator(".narrow summary", { hasText: "More" });
  await more.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Near-duplicates" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Near-duplicates" }).waitFor({ state: "hidden" });
  group.same("a menu folds again", [await more.evaluate((one) => document.activeElement === one)], [true]);
}

async function address(page, context, { open, report }) {
  const group = report.group("browse: an address of each search");
  await search(page).fill("animal -dog");
  await page.waitForFunction(() => location.hash.includes("q="));
  const hash = await page.evaluate(() => location.hash);
  group.same("the words are in it", [hash], ["#/photos?q=animal%20-dog"]);
  const other = await open(context, hash.slice(2));
  await other.waitForFunction(() => document.querySelector(".search input[type=search]")?.value);
  group.same("opened: asked", [await search(other).inputValue()], ["animal -dog"]);
  await other.close();
  await page.getByRole("navigation").getByRole("link", { name: "Photos" }).click();
  await page.waitForFunction(() => document.querySelector(".search input[type=search]").value === "");
  await page.evaluate(() => (location.hash = "#/search?q=dog"));
  await page.waitForFunction(() => location.hash === "#/photos?q=dog");
  group.same("an earlier address leads on", [await search(page).inputValue()], ["dog"]);
  group.rejects("the words before", [await search(page).inputValue()], ["animal -dog"]);
  await search(page).fill("");
  await page.waitForFunction(() => location.hash === "#/photos");
}

/** A visit later: photos are in view at once, nothing moves, nothing is too wide, on a desk and on a phone, in the light and in the dark. */
async function layout(context, { open, report, axe, shots }) {
  const group = report.group("browse: layout");
  for (const [screen, viewport] of Object.entries(SCREENS)) {
    const page = await open(context, "photos");
    await page.setViewportSize(viewport);
    await page.reload();
    await done(page, 25, " · 1 unreadable");
    await page.locator(".results .pictures img").first().waitFor();
    await page.waitForTimeout(1000);
    const shift = await page.evaluate(() => globalThis.shift);
    group.holds(`${screen}: nothing moves (${shift.toFixed(3)})`, shift < 0.05, shift);
    const end = await page.$eval(".results .pictures button", (one) => one.getBoundingClientRect().bottom);
    const bar = await page.evaluate(() => {
      const { top, height } = document.querySelector("nav").getBoundingClientRect();
      return top > innerHeight / 2 ? height : 0;
    });
    group.holds(
      `${screen}: the first row is in view`,
      end <= viewport.height - bar,
      `${end} of ${viewport.height - bar}`,
    );
    group.same(`${screen}: too wide`, [await tooWide(page)], [0]);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const found = await axe(page);
      group.holds(`${screen}, ${colorScheme}: axe`, found.length === 0, found.join(" | "));
    }
    if (screen === "desktop") await shots(page, "browse");
    await page.evaluate(() => (document.querySelector(".photos-head").style.marginTop = "300px"));
    await page.waitForTimeout(500);
    group.rejects(`${screen}: a heading that moves`, [(await page.evaluate(() => globalThis.shift)) < 0.05], [true]);
    await page.close();
  }
}
