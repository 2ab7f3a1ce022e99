// Opens the built demo page on its sample pictures, prints the scores, and fails unless the right label is on top; and unless a wrong
// one is for the sample of which the page says so.
//   node demo.mjs [--shots FOLDER]
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adapterName, listen, skipAll, start } from "./lib/browser.mjs";
import { serve } from "./lib/server.mjs";

const www = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "www");
const shots = process.argv[2] === "--shots" ? process.argv[3] : undefined;

const server = await serve({ "/demo/": join(www, "dist") });
const browser = await start();
if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
const problems = [];
try {
  const address = `${server.url}demo/index.html`;
  const adapter = await adapterName(browser, address);
  if (!adapter) skipAll("the browser gives no WebGPU adapter");
  console.log(`adapter: ${adapter}`);
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const complaints = listen(page);
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "blob:" && protocol !== "data:" && `${origin}/` !== server.url) problems.push(`asked elsewhere: ${request.url()}`);
  });
  await page.goto(address);
  const samples = await page.$$eval("[data-sample]", (all) => all.map(({ dataset }) => [dataset.sample, "missed" in dataset]));
  if (samples.length < 2 || samples.filter(([, missed]) => missed).length !== 1) problems.push(`samples: expected one missed among several, found ${samples}`);
  for (const [sample, missed] of samples) await ask(page, sample, missed);
  problems.push(...complaints);
  if (shots) await shoot(address, shots);
} finally {
  await browser.close();
  server.close();
}
for (const problem of problems) console.log(`FAIL  ${problem}`);
process.exit(problems.length ? 1 : 0);

/** The page must put this sample on top, or another label if it says that the model misses this one. */
async function ask(page, sample, missed) {
  await settled(page);
  // The first sample is chosen already; choosing it again would change nothing.
  const button = page.locator(`[data-sample="${sample}"]`);
  if ((await button.getAttribute("aria-pressed")) !== "true") {
    await button.click();
    await page.waitForFunction((s) => document.querySelector(`[data-sample="${s}"]`)?.getAttribute("aria-pressed") === "true", sample);
    await page.waitForTimeout(100);
  }
  await settled(page);
  const rows = await page.$$eval("[data-label]", (all) => all.map(({ dataset }) => [dataset.label, Number(dataset.score)]));
  const right = topIs(rows, sample);
  console.log(`${right ? "right" : "wrong"} ${sample}: ${rows.slice(0, 3).map(([label, score]) => `${label} ${score.toFixed(5)}`).join(", ")}`);
  if (!rows.some(([label]) => label === sample)) problems.push(`${sample}: expected it among the labels`);
  if (right === missed) problems.push(`${sample}: expected ${missed ? "another label" : "it"} on top, found ${rows[0]?.[0]}`);
  if ((await page.locator("#missed").isVisible()) !== missed) problems.push(`${sample}: the page ${missed ? "does not say" : "says"} that it is wrong`);
  // The check itself on trial.
  if (rows.length > 1 && topIs(rows, rows[1][0])) problems.push(`${sample}: ${rows[1][0]} was accepted as well`);
}

/** Whether this label is above all others. */
function topIs([best, second], label) {
  return best?.[0] === label && best[1] > second[1];
}

async function settled(page) {
  const state = () => document.documentElement.dataset.state;
  await page.waitForFunction(() => ["done", "error"].includes(document.documentElement.dataset.state), null, { timeout: 120_000 });
  const found = await page.evaluate(state);
  if (found !== "done") throw new Error(`the page says: ${await page.locator("[data-code]").first().innerText()}`);
}

async function shoot(address, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [name, viewport] of Object.entries({ desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } })) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await browser.newPage({ viewport, colorScheme });
      await page.goto(address);
      await settled(page);
      await page.waitForTimeout(500);
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: name === "phone" });
      await page.close();
    }
  }
}
