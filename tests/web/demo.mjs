// Opens the built demo page on sample pictures, prints the scores, and fails unless the right label is on top.
//   node demo.mjs [--shots FOLDER]
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adapterName, listen, skipAll, start } from "./lib/browser.mjs";
import { serve } from "./lib/server.mjs";

const samples = ["octopus", "guitar", "dog", "pizza", "cactus"];
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
  for (const sample of samples) await ask(page, sample);
  problems.push(...complaints);
  if (shots) await shoot(address, shots);
} finally {
  await browser.close();
  server.close();
}
for (const problem of problems) console.log(`FAIL  ${problem}`);
process.exit(problems.length ? 1 : 0);

/** Whatever the page shows must be this sample, by far. */
async function ask(page, sample) {
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
  console.log(`${right ? "ok   " : "wrong"} ${sample}: ${rows.slice(0, 3).map(([label, score]) => `${label} ${score.toFixed(5)}`).join(", ")}`);
  if (!right) problems.push(`${sample}: expected it on top, found ${rows[0]?.[0]}`);
  // The check itself on trial.
  const other = samples.find((name) => name !== sample);
  if (topIs(rows, other)) problems.push(`${sample}: ${other} was accepted as well`);
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
