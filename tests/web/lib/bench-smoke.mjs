// Whether the benchmark's page works at all: a table appears, the report is copied, nobody complains. No word about time.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { adapterName, listen, skipAll, start } from "./browser.mjs";

/** The exit code; with `shots` it also leaves pictures of the page in that folder. */
export async function smoke(address, shots) {
  const browser = await start();
  if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
  const problems = [];
  try {
    if (!(await adapterName(browser, address))) skipAll("the browser gives no WebGPU adapter");
    const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
    const page = await context.newPage();
    const complaints = listen(page);
    await page.goto(address);
    await page.locator("#model").fill("");
    await page.locator("#go").click();
    if (!(await page.locator("#trouble").innerText())) problems.push("no address: expected a sentence, found none");
    await page.locator("#model").fill("models/ocelli-tiny/");
    await page.locator("#rounds").fill("1");
    await page.locator("#go").click();
    await finished(page);
    const cells = await page.$$eval("#table tbody tr", (all) =>
      all.map((row) => [row.dataset.row, row.querySelector("td").textContent]),
    );
    for (const row of ["cold", "picture1", "picture8", "labels2", "labels100", "labels1000"]) {
      const found = cells.find(([name]) => name === row)?.[1];
      if (!/^[\d.,]+ m?s$/.test(found ?? "")) problems.push(`${row}: expected a time, found ${found}`);
    }
    await page.locator("#copy").click();
    await page.waitForFunction(() => document.querySelector("#copy").textContent === "Copied", null, { timeout: 5000 });
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    if (!copied.includes("| Cold start") || !copied.includes("Ocelli"))
      problems.push(`the report: expected a table, found ${copied.slice(0, 80)}`);
    if (await page.locator("#frames iframe").count()) problems.push("a frame is left over");
    problems.push(...complaints);
    if (shots) await shoot(browser, address, shots);
  } finally {
    await browser.close();
  }
  for (const problem of problems) console.log(`FAIL  ${problem}`);
  if (!problems.length) console.log("ok    the benchmark's page, with Ocelli alone");
  return problems.length ? 1 : 0;
}

async function finished(page) {
  await page.waitForFunction(() => document.documentElement.dataset.state === "done", null, { timeout: 300_000 });
}

/** The page with results in it, at two sizes, by day and by night. */
async function shoot(browser, address, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [name, viewport] of Object.entries({
    desktop: { width: 1280, height: 900 },
    phone: { width: 390, height: 844 },
  })) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await browser.newPage({ viewport, colorScheme });
      await page.goto(`${address}?engines=ocelli&rounds=1&run`);
      await finished(page);
      await page.screenshot({ path: join(folder, `bench-${name}-${colorScheme}.png`), fullPage: true });
      await page.close();
    }
  }
}
