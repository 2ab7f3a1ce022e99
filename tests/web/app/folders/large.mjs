// 1,000 pictures: the browser is closed in the middle, started again, and nothing is lost or done twice; memory stays flat.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen, startKept } from "../../lib/browser.mjs";
import { countEmbeddings, drawn, keptEmbeddings, onDisk, withoutPicker } from "../../lib/collection.mjs";
import { resident } from "../../lib/memory.mjs";
import { paths, search, state } from "./page.mjs";

const COUNT = 1000;
const PATIENCE = 1_200_000;
/**
 * Bytes that half of the pictures may add. Decoded, they are 320·240·4 bytes each, 154 MB in all: a quarter of that is a leak.
 * What is kept of each, an embedding and its record, is a few kilobytes.
 */
const RESIDENT = (COUNT / 2) * 320 * 240;
/** The same for the page's objects: 16 kB for each picture would be more than its file and its embedding. */
const HEAP = (COUNT / 2) * 16_000;

export async function large({ report, url }) {
  const folder = onDisk("thousand", drawn(COUNT));
  const profile = mkdtempSync(join(tmpdir(), "ocelli-profile-"));
  const visit = async (work) => {
    const context = await startKept(profile, { serviceWorkers: "block", viewport: { width: 1280, height: 800 } });
    try {
      await context.addInitScript(withoutPicker);
      await context.addInitScript(countEmbeddings);
      const page = await context.newPage();
      const complaints = listen(page);
      await page.goto(`${url}#/photos`);
      await page.getByRole("heading", { level: 1, name: "Photos" }).waitFor({ timeout: PATIENCE });
      await work(page, context);
      return complaints.filter((one) => !one.includes("Service Worker registration blocked"));
    } finally {
      await context.close();
    }
  };
  const reached = (page, count) =>
    page.waitForFunction((count) => embedded.length >= count, count, { timeout: PATIENCE });

  const group = report.group("folders: 1,000 pictures, closed in the middle");
  let shown = 0;
  const complaints = await visit(async (page) => {
    await page.locator('input[data-kind="folder"]').setInputFiles(folder);
    await reached(page, COUNT * 0.4);
    shown = Number((await state(page)).match(/([\d,]+) of 1,000/)[1].replace(",", ""));
  });

  let before = 0;
  const heap = [];
  const memory = [];
  complaints.push(
    ...(await visit(async (page, context) => {
      await page.getByRole("button", { name: "Choose “thousand” again to continue" }).waitFor({ timeout: PATIENCE });
      before = (await keptEmbeddings(page)).length;
      group.holds("what was shown as done is kept", before >= shown, `${before} of ${shown}`);
      group.same("said", [await state(page)], [`1,000 photos · ${before} of 1,000 indexed`]);
      const session = await context.newCDPSession(page);
      const measure = async () => {
        await session.send("HeapProfiler.collectGarbage");
        heap.push((await session.send("Runtime.getHeapUsage")).usedSize);
        memory.push(resident());
      };
      await page.locator('input[data-kind="folder"]').setInputFiles(folder);
      const rest = COUNT - before;
      for (const part of [0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1]) {
        await reached(page, Math.floor(rest * part));
        await measure();
      }
      await page.getByText("up to date").waitFor({ timeout: PATIENCE });
      const made = await page.evaluate(() => embedded);
      const kept = await keptEmbeddings(page);
      group.same(
        "nothing lost, nothing twice",
        [before + made.length, kept.length, new Set(kept).size],
        [COUNT, COUNT, COUNT],
      );
      group.rejects("one done twice", [before + made.length + 1], [COUNT]);

      // What words find is what was drawn.
      const best = async (words) => {
        await search(page).fill(words);
        await page.waitForTimeout(1000);
        await page.waitForFunction(() => document.querySelector('.results[aria-busy="false"] .pictures button'), null, {
          timeout: PATIENCE,
        });
        return (await paths(page)).slice(0, 10).map((path) => path.replace(/^.*-|\.png$/g, ""));
      };
      for (const words of ["bicycle", "guitar", "rocket"]) {
        group.same(`${words}: found`, await best(words), Array(10).fill(words));
        group.rejects(`${words}: something else`, await best("cactus"), Array(10).fill(words));
      }
    })),
  );
  group.holds("no complaints", complaints.length === 0, complaints.join(" | "));

  const flat = report.group("folders: memory, second half against first");
  const grown = (series) => Math.max(...series.slice(4)) - Math.max(...series.slice(0, 4));
  flat.same("objects of the page", [grown(heap) < HEAP], [true]);
  flat.same("resident", [grown(memory) < RESIDENT], [true]);
  flat.rejects("each decoded picture kept", [grown(memory.map((bytes, i) => bytes + i * RESIDENT)) < RESIDENT], [true]);
  report.note(
    "folders: memory",
    `objects ${heap.map((x) => (x / 1e6).toFixed(1)).join(" ")}; resident ${memory.map((x) => (x / 1e6).toFixed(0)).join(" ")} MB`,
  );
  rmSync(profile, { recursive: true, force: true });
}
