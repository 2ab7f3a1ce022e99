// What the tests of the page "Photos" do and read.
import { readFileSync } from "node:fs";

/** Milliseconds; a busy machine takes its time. */
export const PATIENCE = 600_000;

/** The line about the collection, without its folders. */
export const state = (page) =>
  page.$eval(".bookkeeping .state", ({ textContent }) =>
    textContent
      .replace(/\s+/g, " ")
      .replace(/ · \d+ folders?/, "")
      .trim(),
  );

/** Until the line about the collection begins so. */
export const says = (page, words) =>
  page.waitForFunction(
    (words) =>
      document
        .querySelector(".bookkeeping .state")
        ?.textContent.replace(/\s+/g, " ")
        .replace(/ · \d+ folders?/, "")
        .trim()
        .startsWith(words),
    words,
    { timeout: PATIENCE },
  );

/** Until so many photos are indexed; `more` follows their number, such as " · 2 unreadable". */
export const done = (page, count, more = "") =>
  says(page, `${count.toLocaleString("en")} photo${count === 1 ? "" : "s"}${more} · up to date`);

export const tagged = (page) =>
  page.waitForFunction(
    () => !/updating/.test(document.querySelector(".narrow [role=status]")?.textContent ?? "updating"),
    null,
    { timeout: PATIENCE },
  );

/** Tags of a page's tiles, by path. */
export const tiles = (page) =>
  page.$$eval(".results .pictures button", (all) =>
    Object.fromEntries(
      all.map((tile) => [
        tile.dataset.path,
        [...tile.querySelectorAll(".tag")].map(({ textContent }) => textContent.trim()),
      ]),
    ),
  );

/** Paths of a page's tiles, in order. */
export const paths = (page) =>
  page.$$eval(".results .pictures button", (all) => all.map(({ dataset }) => dataset.path));

export const chip = (page, name) => page.getByRole("group", { name: "Show photos with" }).getByRole("button", { name });

/** A click on one of the ways that a menu unfolds. */
export async function choose(page, menu, way) {
  await page.locator("summary", { hasText: menu }).click();
  await page.getByRole("button", { name: way }).click();
}

/** The click that asks for a folder. */
export async function askFolder(page) {
  const first = page.getByRole("button", { name: "Choose a folder", exact: true });
  if (await first.count()) await first.click();
  else await choose(page, "Add", "Choose a folder…");
}

/** Unfolds labels and rules, with what only experts change. */
export async function unfoldRules(page) {
  await page.getByRole("button", { name: "Labels & rules" }).click();
  await page.getByText("Advanced", { exact: true }).click();
}

/** The bytes of what a click saves. */
export async function saved(page, click) {
  const [file] = await Promise.all([page.waitForEvent("download", { timeout: PATIENCE }), click()]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

export const search = (page) => page.getByRole("searchbox", { name: "Search your photos" });
