// Photos a second of a folder, this app beside an earlier one, in turns. Prints, asserts only that nothing is lost.
//   node bench-folder.mjs [--before DIST] [--photos N] [--rounds N]
// DIST is www/dist of an earlier commit, built. Half of the folder are photos of 12 megapixels, half are small, and three are damaged.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findChromium, skipAll, start } from "./lib/browser.mjs";
import { serve } from "./lib/server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const { values } = parseArgs({
  options: {
    before: { type: "string" },
    photos: { type: "string", default: "500" },
    rounds: { type: "string", default: "1" },
  },
});
if (!findChromium()) skipAll("no Chromium: install it, or set CHROMIUM to one");

const DAMAGED = 3;
/** Different photos of each size; the others are the same pixels in another file. */
const DIFFERENT = 8;
const PATIENCE = 3_600_000;

const server = await serve({
  ...(values.before && { "/before/": resolve(values.before) }),
  "/after/": join(root, "www", "dist"),
});
const browser = await start();
const folder = mkdtempSync(join(tmpdir(), "ocelli-folder-"));
try {
  const count = Number(values.photos);
  await fill(folder, count);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const version of [...(values.before ? ["before"] : []), "after"]) {
      const { seconds, embedded, broken } = await indexed(`${server.url}${version}/index.html`);
      if (embedded !== count - DAMAGED || broken !== DAMAGED)
        throw new Error(`expected ${count - DAMAGED} photos and ${DAMAGED} errors, found ${embedded} and ${broken}`);
      const rate = (embedded / seconds).toFixed(2);
      console.log(
        `${version}: ${embedded} photos in ${seconds.toFixed(0)} s, ${rate} a second; load ${loadavg()[0].toFixed(1)}`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true });
  await browser.close();
  server.close();
}

/** Writes the folder: JPEG files of noise on gradients, which decode as slowly as photos do. */
async function fill(folder, count) {
  const page = await browser.newPage();
  const drawn = async (width, height) => {
    const all = [];
    for (let seed = 0; seed < DIFFERENT; seed++)
      all.push(Buffer.from(await page.evaluate(draw, { width, height, seed }), "base64"));
    return all;
  };
  const [large, small] = [await drawn(4000, 3000), await drawn(640, 480)];
  await page.close();
  for (let i = 0; i < count; i++) {
    const [some, size] = i % 2 === 0 ? [large, "large"] : [small, "small"];
    const bytes = some[Math.floor(i / 2) % DIFFERENT];
    // A decoder ends where the image does: what follows makes it another file.
    const damaged = i % Math.ceil(count / DAMAGED) === 1;
    const file = damaged ? bytes.subarray(0, 200) : Buffer.concat([bytes, Buffer.from(String(i))]);
    writeFileSync(join(folder, `${String(i).padStart(4, "0")}-${size}.jpg`), file);
  }
}

/** On a page: a JPEG file in base64. */
async function draw({ width, height, seed }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, width, height);
  gradient.addColorStop(0, `hsl(${seed * 45} 60% 40%)`);
  gradient.addColorStop(1, `hsl(${seed * 45 + 120} 60% 70%)`);
  context.fillStyle = gradient;
  context.fillRect(0, 0, width, height);
  let state = seed + 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let i = 0; i < 20_000; i++) {
    context.fillStyle = `rgb(${random() * 255} ${random() * 255} ${random() * 255} / .5)`;
    context.fillRect(random() * width, random() * height, (random() * width) / 40, (random() * height) / 40);
  }
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** For a page's start: when embeddings and errors were written. */
function watchWrites() {
  globalThis.written = { embeddings: new Set(), broken: new Set(), last: 0 };
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (value, key) {
    const { embeddings, broken } = globalThis.written;
    if (this.name === "embeddings") embeddings.add(key[1]);
    if (this.name === "pictures" && value.broken !== undefined) broken.add(value.path);
    globalThis.written.last = performance.now();
    return put.apply(this, arguments);
  };
  delete globalThis.showDirectoryPicker;
}

/** How long the app takes for the folder, from the choice on; its model is ready before. */
async function indexed(address) {
  const context = await browser.newContext({ serviceWorkers: "block" });
  await context.addInitScript(watchWrites);
  const page = await context.newPage();
  // An earlier app has the page under this name, too.
  await page.goto(`${address}#/tag`);
  await page.getByText("The model is ready").waitFor({ state: "attached", timeout: PATIENCE });
  const began = await page.evaluate(() => performance.now());
  await page.locator('input[data-kind="folder"]').setInputFiles(folder);
  const all = Number(values.photos);
  const done = (all) => written.embeddings.size + written.broken.size >= all;
  await page.waitForFunction(done, all, { timeout: PATIENCE, polling: 1000 });
  const { last, embedded, broken } = await page.evaluate(() => ({
    last: written.last,
    embedded: written.embeddings.size,
    broken: written.broken.size,
  }));
  await context.close();
  return { seconds: (last - began) / 1000, embedded, broken };
}
