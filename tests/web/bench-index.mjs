// How fast the search of `ocelli/index` reads its rows, beside a copy on the same device. Prints, asserts nothing.
//   node bench-index.mjs [--rows N] [--dim N]    in Chromium on its software adapter
//   node bench-index.mjs --page                  serves the page, to be opened in any browser, which is where a GPU is
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { skipAll, start } from "./lib/browser.mjs";
import { bundle } from "./lib/parts.mjs";
import { serve } from "./lib/server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000" },
    dim: { type: "string", default: "768" },
    page: { type: "boolean", default: false },
  },
});
const root = join(here, "..", "..");
const parts = join(process.env.CARGO_TARGET_DIR || join(root, "target"), "bench", "index");
bundle(join(root, "pkg"), ["index/image-index", "index/rows", "index/scan"], join(parts, "search-parts.js"));
const server = await serve({ "/parts/": parts, "/page/": join(here, "page") });
const address = `${server.url}page/bench-index.html?rows=${values.rows}&dim=${values.dim}`;
if (values.page) {
  console.log(`The page is ready, at ${address}; Ctrl+C ends it.`);
} else {
  const browser = await start();
  if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
  try {
    const page = await browser.newPage();
    await page.goto(address);
    await page.waitForFunction(() => globalThis.result, null, { timeout: 3600_000 });
    console.log(await page.innerText("#out"));
  } finally {
    await browser.close();
    server.close();
  }
}
