// The examples, each with the packed package: bundled as its own script does it, opened in Chromium, and used.
//   node examples.mjs [NAME…] [--shots FOLDER]
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { listen, skipAll, start } from "./lib/browser.mjs";
import { add, pack } from "./lib/install.mjs";
import { Report } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const target = process.env.CARGO_TARGET_DIR || join(root, "target");
/** Their packages are those of the consumers: no network is needed here. */
const packages = join(here, "consumers");
const sample = (name) => join(root, "www", "samples", `${name}.png`);
const TINY = "/models/ocelli-tiny/";

/** The model that each is opened with, and what somebody does there. */
const examples = {
  "vanilla": { model: TINY, use: label },
  "plain-html": { model: TINY, plain: true, use: labelPlainly },
  "photo-search": { model: TINY, use: search },
  "alt-text": { model: "/fixtures/decoders/smolvlm/", use: describe },
  "redact": { model: "/fixtures/owlv2/", use: redact },
};

const { values: options, positionals } = parseArgs({ options: { shots: { type: "string" } }, allowPositionals: true });
const names = positionals.length ? positionals : Object.keys(examples);
const unknown = names.find((name) => !examples[name]);
if (unknown) throw new Error(`example: expected one of ${Object.keys(examples).join(", ")}, found ${unknown}`);
const browser = await start();
if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
mkdirSync(join(target, "web"), { recursive: true });
const folder = mkdtempSync(join(target, "web", "examples-"));
const report = new Report();
try {
  const packed = join(folder, "packed");
  mkdirSync(packed);
  add(pack(join(root, "pkg"), packed), packages);
  symlinkSync(join(packages, "node_modules"), join(folder, "node_modules"));
  for (const name of names) await open(name, examples[name]);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
console.log(report.verdict());
process.exitCode = report.failed ? 1 : 0;

async function open(name, { model, plain, use }) {
  const group = report.group(`example ${name}`);
  const project = join(folder, name);
  cpSync(join(root, "examples", name), project, {
    recursive: true,
    filter: (path) => !/node_modules|dist|public/.test(path.slice(root.length)),
  });
  const vite = join(packages, "node_modules", ".bin", "vite");
  if (!plain) execFileSync(vite, ["build", "--logLevel", "warn"], { cwd: project, stdio: "inherit" });
  else symlinkSync(join(packages, "node_modules"), join(project, "node_modules"));
  const site = plain ? project : join(project, "dist");
  const server = await serve({
    "/fixtures/": join(root, "tests", "fixtures"),
    "/models/": join(root, "www", "models"),
    "/": site,
  });
  const page = await browser.newPage({ viewport: { width: 800, height: 900 } });
  try {
    const complaints = listen(page);
    await page.goto(`${server.url}?model=${encodeURIComponent(model)}`);
    await use(page, group);
    if (options.shots) await page.screenshot({ path: join(options.shots, `example-${name}.png`) });
    group.same("complaints", complaints.join("; "), "");
    group.same(
      "its packages",
      Object.keys(JSON.parse(readFileSync(join(project, "package.json"))).dependencies).join(),
      "ocelli",
    );
  } finally {
    await page.close();
    server.close();
  }
}

/** What the page says, once it says something of the kind. */
async function said(page, kind) {
  const status = page.locator("[role=status]");
  await status.filter({ hasText: kind }).waitFor({ timeout: 120_000 });
  return status.textContent();
}

async function label(page, group) {
  const first = async (name) => {
    await page.locator("ol").evaluate((list) => list.replaceChildren());
    await page.setInputFiles("[type=file]", sample(name));
    await page.locator("li").first().waitFor({ timeout: 120_000 });
    return page.locator("li").first().textContent();
  };
  group.holds("a guitar", /^a guitar\s*\d/.test(await first("guitar")), await page.locator("ol").textContent());
  const dog = await first("dog");
  group.rejects("a dog", /^a guitar/.test(dog), true);
  await page.fill("textarea", "a pizza\na dog");
  await page.locator("textarea").blur();
  await page.waitForFunction(() => document.querySelectorAll("li").length === 2);
  group.same("other labels", await page.locator("li").count(), 2);
}

async function labelPlainly(page, group) {
  await page.setInputFiles("[type=file]", sample("guitar"));
  group.same("a guitar", await said(page, /Looks like/), "Looks like a guitar.");
  await page.setInputFiles("[type=file]", sample("dog"));
  group.rejects("a dog", await said(page, "a dog"), "Looks like a guitar.");
}

async function search(page, group) {
  await page.setInputFiles("[type=file]", ["guitar", "dog", "rocket", "pizza"].map(sample));
  group.same("photos", await said(page, /What are/), "4 photos. What are you looking for?");
  const best = async (words) => {
    await page.fill("[type=search]", words);
    await page.waitForTimeout(1500);
    return page.locator("#found img").first().getAttribute("alt");
  };
  group.same("a rocket", await best("a rocket"), "rocket.png");
  group.rejects("a pizza", await best("a pizza"), "rocket.png");
  await page.reload();
  await page.setInputFiles("[type=file]", ["guitar", "rocket"].map(sample));
  await said(page, /2 photos\./);
  group.same("on the next visit", await best("a rocket"), "rocket.png");
}

async function describe(page, group) {
  const text = () => page.locator("textarea").inputValue();
  group.rejects("before", (await text()).length > 0, true);
  await page.setInputFiles("[type=file]", sample("dog"));
  await said(page, /Done/);
  group.holds("a text", (await text()).length > 10, await text());
}

async function redact(page, group) {
  /** Pixels that are others than in the photo. */
  const changed = () =>
    page.evaluate(async () => {
      const photo = await createImageBitmap(document.querySelector("[type=file]").files[0]);
      const whole = new OffscreenCanvas(photo.width, photo.height).getContext("2d");
      whole.drawImage(photo, 0, 0);
      const words = (context) => new Uint32Array(context.getImageData(0, 0, photo.width, photo.height).data.buffer);
      const before = words(whole);
      return words(document.querySelector("canvas").getContext("2d")).filter((word, at) => word !== before[at]).length;
    });
  const places = async () => Number(/^\d+/.exec(await said(page, /hidden/))[0]);
  await page.locator("[type=range]").fill("0.5");
  await page.setInputFiles("[type=file]", sample("dog"));
  const few = await places();
  await page.locator("[type=range]").fill("0.2");
  await page.waitForFunction((few) => parseInt(document.querySelector("[role=status]").textContent) > few, few);
  group.holds("more places, less sure", (await places()) > few, few);
  const pixels = await changed();
  group.holds("what is found is hidden", pixels > 100, pixels);
  group.rejects("the photo as it was", pixels, 0);
}
