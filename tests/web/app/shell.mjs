// What stands around the pages: a first paint without the engine, every page by its link, nothing that axe calls serious.
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const assets = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www", "dist", "assets");
const PAGES = ["Classify", "Tag", "Search", "Live", "Models"];
/** Bytes of scripts besides the package, not compressed. */
const MOST_SCRIPT = 170_000;

export async function shell({ fresh, open, url, report, axe, shots }) {
  const page = await open(await fresh(), "classify");
  const words = report.group("shell: pages by their links");
  for (const name of PAGES) {
    await page.getByRole("navigation").getByRole("link", { name }).click();
    await page.waitForFunction((name) => document.documentElement.dataset.page === name, name.toLowerCase());
    const current = await page.locator("nav [aria-current]").innerText();
    const said = [current.trim(), await page.title()];
    words.same(`${name}: the current one`, said, [name, `${name} · Ocelli`]);
    words.rejects(`${name}: another`, said.slice(0, 1), [PAGES[(PAGES.indexOf(name) + 1) % PAGES.length]]);
    words.holds(`${name}: has a heading`, (await page.getByRole("heading", { level: 1 }).count()) === 1);
    const found = await axe(page);
    words.holds(`${name}: axe`, found.length === 0, found.join(" | "));
  }
  await page.evaluate(() =>
    document.querySelector("header").insertAdjacentHTML("beforeend", '<img src="./icons/192.png">'),
  );
  words.rejects("axe: a picture without words", (await axe(page)).length === 0 ? [] : ["found"], []);
  await shots(page, "shell");
  await page.close();
  await firstPaint({ fresh, url, report });

  const budget = report.group("shell: scripts besides the package");
  const sizes = readdirSync(assets)
    .filter((name) => name.endsWith(".js") && !/^(ocelli[_-]|worker-)/.test(name))
    .map((name) => statSync(join(assets, name)).size);
  const own = sizes.reduce((sum, size) => sum + size, 0);
  const within = (bytes) => [bytes > 0 && bytes < MOST_SCRIPT];
  budget.same("in their budget", within(own), [true]);
  budget.rejects("with the package", within(own + MOST_SCRIPT), [true]);
  report.note("shell: bytes of scripts", String(own));
}

/** The shell must stand while every wasm file and every file of the model is still held back. */
async function firstPaint({ fresh, url, report }) {
  const context = await fresh();
  const page = await context.newPage();
  let letGo = () => {};
  const held = new Promise((resolve) => (letGo = resolve));
  await context.route(/\.wasm$|\/models\//, async (route) => {
    await held;
    await route.continue().catch(() => {});
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const group = report.group("shell: first paint before any wasm");
  const seen = async () => [
    await page.getByRole("navigation").isVisible(),
    await page.getByRole("heading", { level: 1 }).isVisible(),
  ];
  await page.waitForFunction(() => document.documentElement.dataset.page);
  group.same("pages and a heading", await seen(), [true, true]);
  await page.evaluate(() => document.querySelector("nav").remove());
  group.rejects("without pages", await seen(), [true, true]);
  letGo();
  await page.close();
}
