// Firefox as it ships, over WebDriver BiDi. Its WebGPU runs on the system's Vulkan driver.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import puppeteer from "puppeteer-core";

const names = ["firefox-esr", "firefox"];
const places = [
  ...(process.env.PATH ?? "").split(delimiter).flatMap((folder) => names.map((name) => join(folder, name))),
  "/Applications/Firefox.app/Contents/MacOS/firefox",
];
const preferences = {
  "dom.webgpu.enabled": true,
  "gfx.webgpu.ignore-blocklist": true,
  // A site that is not localhost, and so not secure.
  "network.dns.localDomains": "insecure.test",
};
/** For a page that is to come, on a busy machine. */
const PATIENCE_MS = 120_000;

export function findFirefox() {
  return process.env.FIREFOX || places.find((place) => existsSync(place));
}

/** Starts the browser, which has what the tests use of Playwright's; undefined where there is none. */
export async function startFirefox() {
  const executablePath = findFirefox();
  if (!executablePath) return undefined;
  // A call into a page takes as long as it takes.
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    extraPrefsFirefox: preferences,
    protocolTimeout: 0,
  });
  const version = (await browser.version()).replace(/^\D*/, "");
  return {
    version: () => version,
    close: () => browser.close(),
    newPage: async () => adapted(await browser.newPage()),
  };
}

/** Puppeteer's page with Playwright's names. */
function adapted(page) {
  const waitForFunction = page.waitForFunction.bind(page);
  page.setDefaultTimeout(PATIENCE_MS);
  return Object.assign(page, {
    waitForTimeout: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    waitForFunction: (test, argument, options = {}) => waitForFunction(test, options, argument),
    addInitScript: (script) => page.evaluateOnNewDocument(script),
  });
}
