// What stands around the pages: a first paint without the engine, every page by its link, nothing that axe calls serious.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { largest } from "../lib/report.mjs";
import { SCREENS, watchShifts } from "./layout.mjs";

const assets = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www", "dist", "assets");
const PAGES = ["Picture", "Photos", "Live", "Models"];
/** Bytes of scripts besides the package as they are downloaded, gzipped: as of all sizes in README. */
const MOST_SCRIPT = 100_000;

export async function shell({ fresh, open, url, report, axe, shots }) {
  await oldAddresses({ fresh, open, report });
  const page = await open(await fresh(), "picture");
  const words = report.group("shell: pages by their links");
  for (const name of PAGES) {
    await page.getByRole("navigation").getByRole("link", { name }).click();
    await page.waitForFunction((name) => document.documentElement.dataset.page === name, name.toLowerCase());
    const current = await page.locator("nav [aria-current]").getAttribute("href");
    const said = [current === `#/${name.toLowerCase()}` ? name : current, await page.title()];
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
  await installs({ fresh, open, report });
  await firstPaint({ fresh, url, report });
  await stillness({ fresh, url, report });

  const budget = report.group("shell: scripts besides the package");
  const sizes = readdirSync(assets)
    .filter((name) => name.endsWith(".js") && !/^(ocelli[_-]|worker-)/.test(name))
    .map((name) => gzipSync(readFileSync(join(assets, name))).length);
  const own = sizes.reduce((sum, size) => sum + size, 0);
  const within = (bytes) => [bytes > 0 && bytes < MOST_SCRIPT];
  budget.same("in their budget", within(own), [true]);
  budget.rejects("with the package", within(own + MOST_SCRIPT), [true]);
  report.note("shell: bytes of scripts", String(own));
}

/** What people have kept of earlier versions leads on. */
async function oldAddresses({ fresh, open, report }) {
  const group = report.group("shell: old addresses");
  const context = await fresh();
  const old = await open(context, "picture");
  await old.evaluate(() => (location.hash = "#/models"));
  await old.waitForFunction(() => document.documentElement.dataset.page === "models");
  await old.evaluate(() => (location.hash = "#/classify"));
  await old.waitForFunction(() => document.documentElement.dataset.page === "picture");
  const current = () => old.locator("nav [aria-current]").getAttribute("href");
  group.same("#/classify", [await current()], ["#/picture"]);
  group.rejects("#/models", [await current()], ["#/models"]);
  await old.close();
}

/** The browser's offer to install the app becomes a button, which is gone once it is used. */
async function installs({ fresh, open, report }) {
  const group = report.group("shell: install");
  const page = await open(await fresh(), "models");
  const button = page.getByRole("banner").getByRole("button", { name: "Install" });
  group.same("without an offer", [await button.count()], [0]);
  await page.evaluate(() => {
    globalThis.prompted = 0;
    const offer = new Event("beforeinstallprompt", { cancelable: true });
    window.dispatchEvent(Object.assign(offer, { prompt: async () => globalThis.prompted++ }));
  });
  await button.press("Enter");
  await button.waitFor({ state: "detached" });
  group.same("asked once", [await page.evaluate(() => globalThis.prompted)], [1]);
  group.rejects("never", [await page.evaluate(() => globalThis.prompted)], [0]);
  await page.close();
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

/** Nothing moves while the page and its model come, on a desk and on a phone. */
async function stillness({ fresh, url, report }) {
  const group = report.group("shell: layout shift", largest, 0.05);
  for (const [screen, viewport] of Object.entries(SCREENS)) {
    const context = await fresh({ viewport });
    await context.addInitScript(watchShifts);
    const page = await context.newPage();
    await page.goto(url);
    await page.getByText("The model is ready").waitFor({ state: "attached", timeout: 120_000 });
    await page.locator('section[aria-label="Answer"][aria-busy="false"]').waitFor({ timeout: 120_000 });
    await page.waitForTimeout(500);
    const shift = () => page.evaluate(() => globalThis.shift);
    group.same(`${screen}: shift`, [await shift()], [0]);
    await page.evaluate(async () => {
      document.querySelector("header").style.marginTop = "300px";
      await new Promise((resolve) => setTimeout(resolve, 500));
    });
    group.rejects(`${screen}: a header that moves`, [await shift()], [0]);
    await page.close();
  }
}
