// The built app, as its users meet it: each of its pages in Chromium, by what can be seen, clicked and typed.
//   node app.mjs [GROUP…] [--shots FOLDER]      groups: shell, picture, tools, models, photos, offline, …; all by default
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findChromium, listen, skipAll, start } from "./lib/browser.mjs";
import { axe, screens, shots } from "./lib/look.mjs";
import { Report, toldSeconds } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";
import { browse } from "./app/browse.mjs";
import { errands } from "./app/errands.mjs";
import { folders } from "./app/folders.mjs";
import { florence } from "./app/florence.mjs";
import { live } from "./app/live.mjs";
import { models } from "./app/models.mjs";
import { offline } from "./app/offline.mjs";
import { paligemma } from "./app/paligemma.mjs";
import { photos } from "./app/photos.mjs";
import { picture } from "./app/picture.mjs";
import { search } from "./app/search.mjs";
import { select } from "./app/select.mjs";
import { shell } from "./app/shell.mjs";
import { tools } from "./app/tools.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const groups = {
  shell,
  picture,
  tools,
  florence,
  paligemma,
  photos,
  browse,
  folders,
  search,
  select,
  errands,
  live,
  models,
  offline,
};

const { values: options, positionals } = parseArgs({ allowPositionals: true, options: { shots: { type: "string" } } });
const unknown = positionals.find((name) => !(name in groups));
if (unknown) throw new Error(`expected some of ${Object.keys(groups).join(", ")}, found ${unknown}`);
if (!findChromium()) skipAll("no Chromium: install it, or set CHROMIUM to one");

// A camera that shows a moving test picture, and no questions about it.
const fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

const report = new Report();
const server = await serve({
  "/demo/": join(root, "www", "dist"),
  "/samples/": join(root, "www", "samples"),
  "/images/": join(root, "tests", "fixtures", "images"),
});
const url = `${server.url}demo/index.html`;
const browser = await start(fake);
const seconds = [];
try {
  for (const name of positionals.length > 0 ? positionals : Object.keys(groups)) {
    const begun = performance.now();
    const problems = [];
    const contexts = [];
    /** A context of its own: nothing stored. `listened` pages complain into the group. */
    const fresh = async (more = {}) => {
      const context = await browser.newContext({
        viewport: screens.desktop,
        serviceWorkers: "block",
        permissions: ["camera"],
        ...more,
      });
      contexts.push(context);
      return context;
    };
    /**
     * The app's page `#/hash` in a context; what it complains about, and what it asks elsewhere, fails the group. `may` says which
     * addresses elsewhere, and which complaints, are expected.
     */
    const open = async (context, hash, query = "", may = () => false) => {
      const page = await context.newPage();
      const complaints = listen(page);
      // Only who asks for a service worker gets one.
      page.on("close", () =>
        problems.push(
          ...complaints
            .splice(0)
            .filter((complaint) => !complaint.includes("Service Worker registration blocked") && !may(complaint)),
        ),
      );
      page.on("request", (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol !== "blob:" && protocol !== "data:" && `${origin}/` !== server.url && !may(request.url()))
          problems.push(`asked elsewhere: ${request.url()}`);
      });
      await page.goto(`${url}${query}#/${hash}`);
      const [name] = hash.split(/[/?]/);
      await page.waitForFunction((name) => document.documentElement.dataset.page === name, name, { timeout: 60_000 });
      return page;
    };
    try {
      await groups[name]({
        browser,
        fresh,
        open,
        server,
        report,
        axe,
        shots: (page, name) => shots(page, name, options.shots),
        url,
      });
    } catch (error) {
      problems.push(`${name}: ${error.stack ?? error}`);
    }
    report.end();
    for (const context of contexts) await context.close();
    for (const problem of problems) report.fail(name, problem);
    seconds.push([name, (performance.now() - begun) / 1000]);
  }
} finally {
  await browser.close();
  server.close();
}
console.log(toldSeconds(seconds));
console.log(report.verdict());
process.exit(report.failed ? 1 : 0);
