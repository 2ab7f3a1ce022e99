// Chromium with WebGPU on its software adapter, so that every machine computes the same.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const places = [
  ...(process.env.PATH ?? "").split(delimiter).flatMap((folder) => names.map((name) => join(folder, name))),
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
const quiet = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function findChromium() {
  return process.env.CHROMIUM || places.find((place) => existsSync(place));
}

const args = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", ...quiet];

/** Starts the browser; undefined where there is none. `more` are further arguments. */
export async function start(more = []) {
  const executablePath = findChromium();
  if (!executablePath) return undefined;
  return chromium.launch({ executablePath, headless: true, args: [...args, ...more] });
}

/** Starts it as a user's own, whose storage is on disk (in the folder `profile`, where it stays), and not in memory as in a private window; returns its context. */
export async function startKept(profile = "", options = {}) {
  const executablePath = findChromium();
  if (!executablePath) return undefined;
  return chromium.launchPersistentContext(profile, { executablePath, headless: true, args, ...options });
}

/** Starts it with an unpacked extension in `folder`; returns the browser's context and where the extension's pages are. */
export async function startExtension(folder) {
  const load = [`--disable-extensions-except=${folder}`, `--load-extension=${folder}`];
  const context = await chromium.launchPersistentContext("", {
    executablePath: findChromium(),
    headless: true,
    args: [...args, ...load],
  });
  // Without a key in its manifest, an extension is named after its folder: half of the SHA-256, in letters from a to p.
  const hash = createHash("sha256").update(folder).digest("hex").slice(0, 32);
  const id = [...hash].map((digit) => String.fromCharCode(97 + parseInt(digit, 16))).join("");
  return { context, url: `chrome-extension://${id}/` };
}

/** What the browser calls its adapter; undefined where it gives none. Asked on a page of `url`, which must be secure. */
export async function adapterName(browser, url) {
  const page = await browser.newPage();
  try {
    await page.goto(url);
    return await page.evaluate(async () => {
      const adapter = await navigator.gpu?.requestAdapter();
      if (!adapter) return undefined;
      const { description, vendor, architecture } = adapter.info;
      return description || `${vendor} ${architecture}`.trim() || "without a name";
    });
  } finally {
    await page.close();
  }
}

/**
 * How many workers a page is left with. The browser tells of an end a moment after it; and of one that was ended while it started
 * Chromium may never tell. So what counts then are the locks, of which each of Ocelli's workers holds one as long as it lives.
 */
export async function workersLeft(page) {
  for (let wait = 0; wait < 50 && page.workers().length > 0; wait++) await page.waitForTimeout(100);
  if (page.workers().length === 0) return 0;
  return page.evaluate(async () => {
    const { held } = await navigator.locks.query();
    return held.filter(({ name }) => name.startsWith("ocelli.worker.")).length;
  });
}

/** Everything that a page complains about, in words: console errors and warnings, uncaught errors, failed requests. */
export function listen(page, complaints = []) {
  page.on("console", (message) => {
    if (["error", "warning", "warn"].includes(message.type())) {
      complaints.push(`console ${message.type()}: ${message.text()} (${message.location()?.url})`);
    }
  });
  page.on("pageerror", (error) => complaints.push(`uncaught: ${error.message}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    // Chromium says ERR_ABORTED also of a body that was read to its end as a stream.
    if (why !== "net::ERR_ABORTED") complaints.push(`request failed: ${request.url()} ${why}`);
  });
  page.on("crash", () => complaints.push("the page crashed"));
  return complaints;
}

/** For a page's start: keeps the memories of wasm instances where the test finds them: they never shrink, so their size is their peak. */
export function watchMemory() {
  globalThis.wasmMemories = [];
  globalThis.wasmBytes = () => wasmMemories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...args) => {
      const result = await original.apply(WebAssembly, args);
      // Exports have short names.
      wasmMemories.push(
        Object.values((result.instance ?? result).exports).find((one) => one instanceof WebAssembly.Memory),
      );
      return result;
    };
  }
}

/** Ends the program where something is missing: SKIPPED, which REQUIRE_GPU=1 makes a failure. */
export function skipAll(why) {
  console.log(`SKIPPED: ${why}`);
  if (process.env.REQUIRE_GPU === "1") console.log("FAIL: REQUIRE_GPU=1 allows no skipping");
  process.exit(process.env.REQUIRE_GPU === "1" ? 1 : 0);
}
