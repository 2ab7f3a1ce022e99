// The built app on a host of its own: installable, complete without a network, replaced by a newer build only when the user says so,
// and bound by its content security policy.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { listen } from "../lib/browser.mjs";
import { serve } from "../lib/server.mjs";
import { winner } from "./picture.mjs";
import { choose, settled, unfold } from "./picture-sources.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const LONG = 180_000;

/** All that the app may ask its host for. */
const EXPECTED = [
  /^\/ocelli\/(index\.html)?$/,
  /^\/ocelli\/(sw|workbox-\w+)\.js$/,
  /^\/ocelli\/manifest\.webmanifest$/,
  /^\/ocelli\/assets\/[\w.-]+\.(js|css|wasm|svg|png)$/,
  /^\/ocelli\/(samples|icons)\/[\w-]+\.png$/,
  /^\/ocelli\/models\/ocelli-tiny\/[\w.-]+$/,
];
const unexpected = (paths) => paths.filter((path) => !EXPECTED.some((pattern) => pattern.test(path)));

export async function offline(test) {
  const place = join(root, "target", "web");
  mkdirSync(place, { recursive: true });
  const folder = mkdtempSync(join(place, "app-"));
  try {
    cpSync(join(root, "www", "dist"), folder, { recursive: true });
    manifest(test, folder);
    await policy(test, folder);
    await withoutNetwork(test, folder);
    await firstTextLater(test, folder);
    await reference(test, folder);
    await update(test, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A page of the app on a host of its own, and what it asks and complains about. */
async function visit({ fresh }, folder, hash = "models") {
  const host = await serve({ "/ocelli/": folder });
  const context = await fresh({ serviceWorkers: "allow" });
  const elsewhere = [];
  context.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "blob:" && protocol !== "data:" && `${origin}/` !== host.url) elsewhere.push(request.url());
  });
  // What the policy refuses tells nobody but the document.
  await context.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
      violations.push(`${effectiveDirective} ${blockedURI}`),
    );
  });
  const page = await context.newPage();
  const complaints = listen(page);
  const address = `${host.url}ocelli/#/${hash}`;
  await page.goto(address);
  await stands(page, hash);
  return { host, context, page, elsewhere, complaints, address };
}

const stands = (page, hash) =>
  page.waitForFunction((hash) => document.documentElement.dataset.page === hash, hash, { timeout: LONG });
const ready = (page) =>
  page.getByText("The model is ready", { exact: true }).waitFor({ state: "attached", timeout: LONG });
/** The service worker has fetched all that it wants. */
const installed = (page) => page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state);

async function go(page, name) {
  await page.getByRole("navigation").getByRole("link", { name }).click();
  await stands(page, name.toLowerCase());
}

/** Embeds texts that no one has asked for before; returns how many figures it gave. */
async function benchmark(page) {
  await go(page, "Models");
  await page.getByRole("button", { name: "Run the benchmark" }).click();
  await page.getByRole("button", { name: "Copy a report" }).waitFor({ timeout: LONG });
  return page.locator("[data-ms]").count();
}

function manifest({ report }, folder) {
  const group = report.group("offline: the manifest");
  const file = JSON.parse(readFileSync(join(folder, "manifest.webmanifest")));
  group.holds(
    "the page names it",
    readFileSync(join(folder, "index.html"), "utf8").includes('rel="manifest" href="./manifest.webmanifest"'),
  );
  /** Of a PNG: width and height stand in its first chunk. */
  const size = (bytes) => `${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`;
  const sizes = (icons) => icons.map(({ src }) => size(readFileSync(join(folder, src))));
  group.same(
    "icons are as large as they say",
    sizes(file.icons),
    file.icons.map(({ sizes }) => sizes),
  );
  group.rejects(
    "another size",
    sizes(file.icons),
    file.icons.map(() => "64x64"),
  );
  group.holds(
    "icons: 192, 512, and one to mask",
    ["192x192", "512x512"].every((one) => file.icons.some(({ sizes }) => sizes === one)) &&
      file.icons.some(({ purpose }) => purpose === "maskable"),
  );
  const at = "https://host.test/some/folder/manifest.webmanifest";
  const inScope = (start) => [new URL(start, at).href.startsWith(new URL(file.scope, at).href)].map(String);
  group.same("it starts within its scope", inScope(file.start_url), ["true"]);
  group.rejects("a start elsewhere", inScope("/"), ["true"]);
  group.same(
    "what an app has",
    ["name", "short_name", "description", "theme_color", "background_color"].filter((key) => !file[key]),
    [],
  );
  group.same("it has a window of its own", [file.display], ["standalone"]);
}

/** Nothing of the page's own is refused, and all that others might slip in is. */
async function policy(test, folder) {
  const { host, page, complaints, elsewhere } = await visit(test, folder);
  const group = test.report.group("offline: content security policy");
  await ready(page);
  for (const name of ["Picture", "Photos", "Live", "Models"]) await go(page, name);
  await benchmark(page);
  const violations = () => page.evaluate(() => violations);
  group.same("of the page's own", await violations(), []);
  group.same("complaints", complaints, []);
  const tried = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "globalThis.ran = true";
    document.head.append(script);
    document.body.insertAdjacentHTML(
      "beforeend",
      '<p id="styled" style="color: red">x</p><img src="x" onerror="globalThis.ran = true">',
    );
    // What a driver evaluates may do more than a page: hence a turn of the page's own.
    const evaluated = await new Promise((resolve) =>
      setTimeout(() => {
        try {
          resolve(String((0, eval)("1 + 1")));
        } catch (error) {
          resolve(error.name);
        }
      }),
    );
    const fetched = await fetch("http://elsewhere.test/").then(
      () => "fetched",
      (error) => error.name,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    return [
      String(globalThis.ran ?? false),
      evaluated,
      fetched,
      String(document.getElementById("styled").style.color !== ""),
    ];
  });
  group.same("an inline script, eval, http elsewhere, a style", tried, ["false", "EvalError", "TypeError", "false"]);
  const refused = new Set((await violations()).map((one) => one.split(" ")[0]));
  group.same(
    "each by the policy",
    ["script-src-elem", "script-src-attr", "script-src", "connect-src", "style-src-attr"].filter(
      (directive) => !refused.has(directive),
    ),
    [],
  );
  group.rejects("a page without violations", await violations(), []);
  group.same(
    "asked elsewhere",
    elsewhere.filter((url) => url !== "http://elsewhere.test/"),
    [],
  );
  await page.close();
  host.close();
}

/** A first visit that classifies; then the host is gone, and the app is opened again. */
async function withoutNetwork(test, folder) {
  const { host, context, page, elsewhere, complaints, address } = await visit(test, folder, "picture");
  const group = test.report.group("offline: the app without a network");
  await settled(page);
  const before = await winner(page);
  group.same("the first visit classifies", [before], ["guitar"]);
  group.same("what keeps the browser from installing it", await hindrances(context, page), []);
  group.same(
    "it is installed",
    [await installed(page)].map((state) => String(/activat/.test(state))),
    ["true"],
  );
  group.same("complaints", complaints, []);
  const asked = host.sent.map(({ path }) => path);
  group.same("asked of the host, and not expected", unexpected(asked), []);
  group.rejects("the app in another folder", unexpected(asked.map((path) => path.replace("/ocelli/", "/other/"))), []);
  group.same("asked elsewhere", elsewhere, []);
  await leave({ context, host, page, address, hash: "picture" });
  await settled(page);
  group.same("after a reload", [await winner(page)], [before]);
  await choose(page, "rocket");
  await settled(page);
  group.same("another sample", [await winner(page)], ["rocket"]);
  group.rejects("the sample before", [await winner(page)], [before]);
  await page
  await unfold(page, "Advanced");
    .getByRole("textbox", { name: /^Labels to choose from/ })
    .fill("a walrus in the snow\nspace rocket\nan old typewriter");
  await settled(page);
  group.same("labels never seen before", [await winner(page)], ["space rocket"]);
  for (const name of ["Photos", "Live"]) {
    await go(page, name);
    group.holds(`${name} opens`, (await page.getByRole("heading", { level: 1 }).count()) === 1);
  }
  const other = await context.newPage();
  const failed = await other.goto(`${host.url}elsewhere/`).then(
    () => "came",
    () => "did not come",
  );
  group.same("what is not the app", [failed], ["did not come"]);
  await page.close();
}

/** A first visit that embeds no text at all: the first text is one without a network. */
async function firstTextLater(test, folder) {
  const { host, context, page, address } = await visit(test, folder);
  const group = test.report.group("offline: the first text of all");
  await ready(page);
  await installed(page);
  const texts = (host) => host.sent.filter(({ path, bytes }) => path.endsWith("/tokenizer.json") && bytes > 0).length;
  group.same("the tokenizer has come along", [String(texts(host))], ["1"]);
  group.rejects("it has not", [String(texts({ sent: [] }))], ["1"]);
  await leave({ context, host, page, address, hash: "models" });
  await ready(page);
  group.same("figures, of pictures and of texts", [await benchmark(page)].map(String), ["3"]);
  await page.close();
}

/** What the browser itself has against the manifest and the app; a context of a test is a private window, in which nothing is installed. */
async function hindrances(context, page) {
  const devtools = await context.newCDPSession(page);
  const { errors } = await devtools.send("Page.getAppManifest");
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  return [
    ...errors.map(({ message }) => message),
    ...installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== "in-incognito"),
  ];
}

/** From now on there is no network, and no host; the app is opened anew. */
async function leave({ context, host, page, address, hash }) {
  await context.setOffline(true);
  host.close();
  await page.goto("about:blank");
  await page.goto(address);
  await stands(page, hash);
}

/** Another build on the same host: the user is asked, and then it is there. */
async function update(test, folder) {
  const { host, page, context } = await visit(test, folder);
  const group = test.report.group("offline: a newer version");
  await ready(page);
  await installed(page);
  await page.reload();
  await stands(page, "models");
  const description = () => page.evaluate(() => [document.querySelector("meta[name=description]").content]);
  const before = await description();
  const offer = page.getByRole("status").filter({ hasText: "A new version of Ocelli is ready" });
  group.same("the same version again", [await offer.count()].map(String), ["0"]);
  const edit = (name, from, to) => {
    const text = readFileSync(join(folder, name), "utf8");
    group.holds(`${name}: changed`, text.includes(from), from);
    writeFileSync(join(folder, name), text.replace(from, to));
  };
  edit("index.html", before[0], "The next version.");
  const [, revision] = /url:"index\.html",revision:"(\w+)"/.exec(readFileSync(join(folder, "sw.js"), "utf8")) ?? [];
  edit("sw.js", revision, "f".repeat(32));
  await page.reload();
  await stands(page, "models");
  group.same("until then the old one", await description(), before);
  await offer.waitFor({ timeout: LONG });
  const again = page.waitForEvent("load", { timeout: LONG });
  await page.getByRole("button", { name: "Update now" }).click();
  await again;
  await stands(page, "models");
  group.same("then the new one", await description(), ["The next version."]);
  group.rejects("then the old one", await description(), before);
  group.same("it is no question any more", [await offer.count()].map(String), ["0"]);
  await context.setOffline(true);
  host.close();
  await page.reload();
  await stands(page, "models");
  group.same("also without a network", await description(), ["The next version."]);
  await page.close();
}

/** The reference is a folder beside the app's pages: the service worker leaves it to the host. */
async function reference(test, folder) {
  mkdirSync(join(folder, "reference"), { recursive: true });
  writeFileSync(join(folder, "reference", "index.html"), "<!doctype html><title>The reference</title>");
  const { host, page } = await visit(test, folder);
  const group = test.report.group("offline: the reference beside the app");
  await installed(page);
  const title = async (path) => {
    await page.goto(`${host.url}ocelli/${path}`);
    return [await page.title()];
  };
  group.same("its first page", await title("reference/index.html"), ["The reference"]);
  group.rejects("a page that nobody has", await title("nothing.html"), ["The reference"]);
  await page.close();
  host.close();
}
