// The core of the app in Firefox: picture, photos, and what is left after a reload. Chromium's tests (app.mjs) have the rest.
//   node app-firefox.mjs
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { skipAll } from "./lib/browser.mjs";
import { startFirefox } from "./lib/firefox.mjs";
import { Report } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";

const www = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "www");
const NAMES = ["bicycle", "cactus", "castle", "guitar", "pizza", "rocket"];
const LONG = { timeout: 300_000 };

const browser = await startFirefox();
if (!browser) skipAll("no Firefox: install it, or set FIREFOX to one");
const server = await serve({ "/demo/": join(www, "dist") });
const report = new Report();
try {
  const page = await browser.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && complaints.push(`console: ${message.text()}`));
  const open = async (hash) => {
    await page.goto(`${server.url}demo/index.html#/${hash}`);
    await page.waitForFunction((hash) => document.documentElement.dataset.page === hash, hash, LONG);
  };

  await open("picture");
  const picture = report.group("firefox: picture");
  const best = () => page.$eval(".best", ({ textContent }) => textContent.trim().toLowerCase());
  for (const name of NAMES.slice(0, 3)) {
    await page.waitForSelector(`[data-sample="${name}"]`, LONG);
    await page.$eval(`[data-sample="${name}"]`, (button) => button.click());
    await page.waitForFunction(
      (name) => document.querySelector(".best")?.textContent.trim().toLowerCase() === name,
      name,
      LONG,
    );
    picture.same(name, [await best()], [name]);
    picture.rejects(`${name}: another`, [await best()], ["tractor"]);
  }

  await open("photos");
  const tag = report.group("firefox: photos, tagged");
  const input = await page.waitForSelector('input[type="file"][data-kind="files"]', LONG);
  await input.uploadFile(...NAMES.map((name) => join(www, "samples", `${name}.png`)));
  const tagged = () =>
    page.$$eval(".results .pictures button", (all) =>
      all
        .map((tile) =>
          [tile.dataset.path.split("/").at(-1).replace(".png", ""), tile.querySelector(".tag").textContent].join(": "),
        )
        .sort(),
    );
  await page.waitForFunction(
    (count) => document.querySelectorAll(".results .pictures .tag").length >= count,
    NAMES.length,
    LONG,
  );
  tag.same(
    "each by its name",
    await tagged(),
    NAMES.map((name) => `${name}: ${name}`),
  );
  tag.rejects(
    "another name",
    await tagged(),
    NAMES.map((name) => `${name}: tractor`),
  );

  // A new visit has nothing but what was kept.
  await page.goto("about:blank");
  await open("photos");
  const search = report.group("firefox: photos, searched after a reload");
  const hits = () =>
    page.$$eval(".results .pictures button", (all) =>
      all.map(({ dataset }) => dataset.path.split("/").at(-1).replace(".png", "")),
    );
  for (const name of NAMES.slice(-2)) {
    await page.waitForSelector(".search input[type=search]", LONG);
    await page.$eval(
      ".search input[type=search]",
      (field, name) => {
        field.value = name;
        field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      },
      name,
    );
    await page.waitForFunction(
      (name) => document.querySelector(".results .pictures button[data-score]")?.dataset.path.endsWith(`/${name}.png`),
      name,
      LONG,
    );
    const found = await hits();
    search.same(`${name}: first of all`, [found[0], found.length], [name, NAMES.length]);
    search.rejects(`${name}: last`, [found.at(-1), found.length], [name, NAMES.length]);
  }
  search.same("no complaints", complaints, []);
} catch (error) {
  report.fail("the app in Firefox", String(error.stack ?? error));
} finally {
  report.end();
  await browser.close();
  server.close();
}
console.log(report.verdict());
process.exit(report.failed ? 1 : 0);
