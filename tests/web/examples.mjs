// The examples, each with the packed package: built as its own script does it, opened in Chromium, and used.
//   node examples.mjs [NAME…] [--shots FOLDER]
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { listen, skipAll, start, startExtension } from "./lib/browser.mjs";
import { addToProjects, packages, projectOf } from "./lib/install.mjs";
import { axe, screens, shots } from "./lib/look.mjs";
import { Report } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const sample = (name) => join(root, "www", "samples", `${name}.png`);
const TINY = "/models/ocelli-tiny/";

/** The model that each is opened with, where its site is after the build, and what somebody does there. */
const examples = {
  "vanilla": { model: TINY, site: "dist", use: label },
  "react": { model: TINY, site: "dist", use: label, also: strictly },
  "vue": { model: TINY, site: "dist", use: label },
  "svelte": { model: TINY, site: "dist", use: label },
  "next": { model: TINY, site: "out", use: label },
  "plain-html": { model: TINY, site: ".", use: labelPlainly },
  "photo-search": { model: TINY, site: "dist", use: search },
  "alt-text": { model: "/fixtures/decoders/smolvlm/", site: "dist", use: describe },
  "redact": { model: "/fixtures/owlv2/", site: "dist", use: redact },
  "extension": { model: TINY, site: "dist", use: labelByMenu },
};

const { values: options, positionals } = parseArgs({ options: { shots: { type: "string" } }, allowPositionals: true });
const names = positionals.length ? positionals : Object.keys(examples);
const unknown = names.find((name) => !examples[name]);
if (unknown) throw new Error(`example: expected one of ${Object.keys(examples).join(", ")}, found ${unknown}`);
const browser = await start();
if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
const report = new Report();
try {
  copies();
  addToProjects();
  for (const name of names) await open(name, examples[name]);
} finally {
  await browser.close();
}
console.log(report.verdict());
process.exitCode = report.failed ? 1 : 0;

/** An example is a folder to copy, so some files are there more than once; all copies are the same. */
function copies() {
  const read = (...path) => readFileSync(join(root, "examples", ...path), "utf8");
  const group = report.group("copies and versions");
  for (const name of Object.keys(examples)) {
    const style = name === "next" ? ["app", "style.css"] : ["style.css"];
    group.same(`${name}: its look`, read(name, ...style), read("vanilla", "style.css"));
    group.same(`${name}: .npmrc`, read(name, ".npmrc"), "install-links=true\n");
    const { dependencies, devDependencies } = JSON.parse(read(name, "package.json"));
    const { ocelli, ...others } = { ...dependencies, ...devDependencies };
    group.same(`${name}: the package`, ocelli, "file:../../pkg");
    const locked = JSON.parse(readFileSync(join(packages, name === "next" ? "next" : "", "package-lock.json")));
    for (const [one, version] of Object.entries(others))
      group.same(`${name}: ${one}`, version, locked.packages[`node_modules/${one}`].version);
  }
  group.same("the hook", read("next", "app", "useOcelli.js"), read("react", "useOcelli.js"));
  const labeller = read("react", "Labeller.jsx");
  group.same("the component", read("next", "app", "Labeller.jsx"), `"use client";\n\n${labeller}`);
  group.rejects("another component", read("next", "app", "page.jsx"), labeller);
}

async function open(name, { model, site, use, also }) {
  const project = projectOf(name, name);
  const { build } = JSON.parse(readFileSync(join(project, "package.json"))).scripts;
  if (build) run(project, build, { MODEL: model });
  const group = report.group(`example ${name}`);
  const folder = join(project, site);
  const { context, url } =
    name === "extension" ? await startExtension(folder) : { context: await browser.newContext() };
  const server = await serve(
    {
      "/fixtures/": join(root, "tests", "fixtures"),
      "/models/": join(root, "www", "models"),
      "/samples/": join(root, "www", "samples"),
      "/": folder,
    },
    { "access-control-allow-origin": "*" },
  );
  const page = await context.newPage();
  try {
    const complaints = listen(page);
    const source = url ? new URL(model, server.url).href : model;
    await page.goto(`${url ? `${url}index.html` : server.url}?model=${encodeURIComponent(source)}`);
    await use(page, group, server);
    await look(page, group, name);
    group.same("complaints", complaints.join("; "), "");
    if (also) await also(group, server, project);
  } finally {
    await context.close();
    server.close();
  }
}

/** Runs a script of a project to its end, as npm does. */
function run(cwd, script, env) {
  const { status, stdout } = spawnSync(`exec 2>&1; ${script}`, {
    cwd,
    env: withBins(cwd, env),
    shell: true,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${script} in ${cwd}: expected status 0, found ${status} and:\n${stdout}`);
}

function withBins(cwd, env) {
  const bins = [cwd, packages].map((folder) => join(folder, "node_modules", ".bin"));
  return { ...process.env, ...env, PATH: [...bins, process.env.PATH].join(delimiter), NEXT_TELEMETRY_DISABLED: "1" };
}

/** The page as it is when it has been used: on a phone as well, in both colour schemes. */
async function look(page, group, name) {
  await shots(page, `example-${name}`, options.shots);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const found = await axe(page);
    group.same(`axe, ${colorScheme}`, found.join(" | "), "");
  }
  await page.setViewportSize(screens.phone);
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  group.same("sideways on a phone", await wide(), 0);
  await page.evaluate(() =>
    document.body.append(Object.assign(document.createElement("hr"), { style: "width: 500px" })),
  );
  group.rejects("something wide", await wide(), 0);
}

/** What the page says, once it says something of the kind. */
async function said(page, kind) {
  const status = page.locator("[role=status]");
  await status.filter({ hasText: kind }).waitFor({ timeout: 180_000 });
  return status.textContent();
}

async function label(page, group) {
  await said(page, "Choose a photo");
  const first = async (name, kind) => {
    await page.setInputFiles("[type=file]", sample(name));
    await page.locator("li").first().filter({ hasText: kind }).waitFor({ timeout: 180_000 });
    return page.locator("li").first().textContent();
  };
  const guitar = await first("guitar", /./);
  group.holds("a guitar", /^a guitar\s*\d+\.\d%/.test(guitar), guitar);
  const dog = await first("dog", "a dog");
  group.rejects("a dog", dog, guitar);
  await page.fill("textarea", "a pizza\na dog");
  await page.locator("textarea").blur();
  await page.waitForFunction(() => document.querySelectorAll("li").length === 2);
  group.holds("other labels", /^a dog/.test(await page.locator("li").first().textContent()));
}

/** Under `vite dev`, where StrictMode mounts the hook twice: one of the two models stays, and the workers of the other end. */
async function strictly(group, server, project) {
  const { createServer } = await import(join(packages, "node_modules", "vite", "dist", "node", "index.js"));
  // A project has its packages inside of it; here they are above.
  const dev = await createServer({
    root: project,
    logLevel: "error",
    server: { host: "127.0.0.1", fs: { allow: [packages] } },
  });
  await dev.listen();
  const workers = async (file, edit) => {
    const path = join(project, file);
    const before = readFileSync(path, "utf8");
    writeFileSync(path, edit(before));
    const page = await browser.newPage();
    const complaints = listen(page);
    try {
      await page.waitForTimeout(500); // until the server has noticed
      await page.goto(`${dev.resolvedUrls.local[0]}?model=${encodeURIComponent(new URL(TINY, server.url).href)}`);
      await said(page, "Choose a photo");
      await page.waitForTimeout(2000);
      group.same("complaints in development", complaints.join("; "), "");
      const { held } = await page.evaluate(() => navigator.locks.query());
      return held.filter(({ name }) => name.startsWith("ocelli.worker.")).length;
    } finally {
      writeFileSync(path, before);
      await page.close();
    }
  };
  try {
    const once = await workers("main.jsx", (code) =>
      code.replace(/<\/?StrictMode>/g, (tag) => tag.replace("StrictMode", "")),
    );
    group.holds("a worker", once > 0, once);
    group.same("workers under StrictMode", await workers("main.jsx", (code) => code), once);
    const forgetful = await workers("useOcelli.js", (code) => code.replace(/return \(\) => \{.*?\n    \};/s, ""));
    group.rejects("a hook that forgets to dispose", forgetful, once);
  } finally {
    await dev.close();
  }
}

async function labelPlainly(page, group) {
  await page.setInputFiles("[type=file]", sample("guitar"));
  group.same("a guitar", await said(page, /Looks like/), "Looks like a guitar.");
  await page.setInputFiles("[type=file]", sample("dog"));
  group.rejects("a dog", await said(page, "a dog"), "Looks like a guitar.");
}

/** What the menu says to the service worker when an image was right-clicked; the menu itself belongs to the browser. */
async function labelByMenu(page, group, server) {
  const worker = page.context().serviceWorkers()[0] ?? (await page.context().waitForEvent("serviceworker"));
  const rightClick = async (name) => {
    const image = new URL(`/samples/${name}.png`, server.url).href;
    // A panel opens after a real click only.
    await worker.evaluate((image) => {
      chrome.sidePanel.open = async () => {};
      chrome.contextMenus.onClicked.dispatch({ menuItemId: "label", srcUrl: image }, { id: 1 });
    }, image);
    await page
      .locator("img")
      .and(page.locator(`[src="${image}"]`))
      .waitFor();
  };
  await rightClick("guitar");
  await page.locator("li").first().filter({ hasText: "a guitar" }).waitFor({ timeout: 180_000 });
  const guitar = await page.locator("li").first().textContent();
  await rightClick("dog");
  await page.locator("li").first().filter({ hasText: "a dog" }).waitFor({ timeout: 180_000 });
  group.rejects("a dog", await page.locator("li").first().textContent(), guitar);
  await page.fill("textarea", "a pizza\na dog");
  await page.locator("textarea").blur();
  await page.waitForFunction(() => document.querySelectorAll("li").length === 2);
  group.holds("other labels", /^a dog/.test(await page.locator("li").first().textContent()));
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
