// Firefox as it ships, over WebDriver BiDi. Its WebGPU runs on the system's Vulkan driver.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import puppeteer from "puppeteer-core";

const names = ["firefox-esr", "firefox"];
const places = [
  ...(process.env.PATH ?? "").split(delimiter).flatMap((folder) => names.map((name) => join(folder, name))),
  "/Applications/Firefox.app/Contents/MacOS/firefox",
];

export function findFirefox() {
  return process.env.FIREFOX || places.find((place) => existsSync(place));
}

/** Starts the browser; undefined where there is none. */
export async function startFirefox() {
  const executablePath = findFirefox();
  if (!executablePath) return undefined;
  const extraPrefsFirefox = { "dom.webgpu.enabled": true, "gfx.webgpu.ignore-blocklist": true };
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, extraPrefsFirefox });
  const version = (await browser.version()).replace(/^\D*/, "");
  return {
    version: () => version,
    close: () => browser.close(),
    async newPage() {
      const page = await browser.newPage();
      page.waitForTimeout = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      return page;
    },
  };
}
