// The tools of the page "Picture" beside labels: what they need, what they find, and what can be made of it; by mouse and by keyboard.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { asking } from "./tools-ask.mjs";
import { cutting } from "./tools-cut.mjs";
import { finding } from "./tools-find.mjs";
import { imitateHub, HUB } from "./hub.mjs";
import { forgetShifts, LONG, SCREENS, still, tooWide, watchShifts } from "./layout.mjs";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures");

/** What the hub has, in place of the models of the catalogue. */
const FOLDERS = {
  "google/owlv2-base-patch16-ensemble": "owlv2",
  "CIDAS/clipseg-rd64-refined": "clipseg-refined",
  "HuggingFaceTB/SmolVLM-256M-Instruct": "decoders/smolvlm",
};
/** The app's own model for "Ask", and what its card must say while the files can't be had. */
const OWN = "**/models/ocelli-tiny-ask/**";
const CARD = ["Ocelli tiny, answering", "9.2 MB", "MIT or Apache-2.0", "doesn't know photos"];

export async function tools(test) {
  const { fresh, open, report, axe, shots } = test;
  const context = await fresh({
    permissions: ["clipboard-read", "clipboard-write"],
    acceptDownloads: true,
  });
  await context.addInitScript(watchShifts);
  // As the reference has them: not rounded to 8 bits.
  await context.addInitScript(() => localStorage.setItem("ocelli-app.format", '"none"'));
  const folders = Object.fromEntries(Object.entries(FOLDERS).map(([name, folder]) => [name, join(fixtures, folder)]));
  const hub = await imitateHub(context, join(fixtures, "clip"), folders);
  const own = { gone: true, held: undefined };
  await context.route(OWN, async (route) => {
    await own.held;
    return own.gone ? route.abort("internetdisconnected") : route.continue();
  });
  const page = await open(context, "picture", "", (what) => what.startsWith(HUB) || /404|ERR_INTERNET/.test(what));

  const cards = report.group("tools: a tool whose model can't be had");
  const links = page.getByRole("list", { name: "Tools" }).getByRole("link");
  cards.same(
    "four tools",
    (await links.allInnerTexts()).map((text) => text.replace(/[\s↓]+$/, "")),
    ["Label", "Find", "Cut out", "Ask"],
  );
  await links.filter({ hasText: "Ask" }).click();
  const card = page.getByRole("region", { name: "Model" });
  await page.waitForFunction(() => location.hash === "#/picture/ask");
  await card.getByText(CARD[0]).first().waitFor();
  const said = (await card.innerText()).replace(/\s+/g, " ");
  const lacking = (said) => CARD.filter((word) => !said.includes(word));
  cards.same("what its card lacks", lacking(said), []);
  cards.rejects("an empty card", lacking(""), []);
  cards.same("axe", await axe(page), []);
  await shots(page, "tools-ask-card");
  cards.same("asked of the hub", hub.asked, []);

  await fails(page, own, report);
  await loads(page, "ask");
  const shared = { ...test, page, hub, good };
  await finding(shared);
  await cutting(shared);
  await asking(shared);
  await returns(context, test);
  await page.close();

  /** What holds of every tool once it has answered. */
  async function good(group, tool) {
    await still(page, group, tool);
    group.same(`${tool}: axe`, await axe(page), []);
    await page.setViewportSize(SCREENS.phone);
    group.same(`${tool}: as wide as a phone`, [await tooWide(page)], [0]);
    group.same(`${tool}: axe on a phone`, await axe(page), []);
    await page.setViewportSize(SCREENS.desktop);
    await shots(page, `tools-${tool}`);
    await forgetShifts(page);
  }
}

/** Opens a tool, and loads its model by the keyboard alone. */
async function loads(page, tool) {
  await page.evaluate((tool) => (location.hash = `#/picture/${tool}`), tool);
  const download = page.getByRole("region", { name: "Model" }).getByRole("button", { name: "Download" });
  await download.waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  for (let step = 0; step < 60; step++) {
    await page.keyboard.press("Tab");
    if (await download.evaluate((button) => button === document.activeElement)) break;
  }
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Model" }).waitFor({ state: "detached", ...LONG });
}

/** A download that can't be: it is said in the card, and the next try begins there. */
async function fails(page, own, report) {
  const group = report.group("tools: a download that fails");
  const card = page.getByRole("region", { name: "Model" });
  await card.getByRole("heading", { name: "The model couldn't be downloaded" }).waitFor(LONG);
  const notices = () => page.locator(".notice:visible").count();
  group.same("said once, in the card", [await notices()], [1]);
  own.gone = false;
  let letGo = () => {};
  own.held = new Promise((resolve) => (letGo = resolve));
  await card.getByRole("button", { name: "Try again" }).click();
  await card.locator(".loading").waitFor();
  group.rejects("the error is gone", [await notices()], [1]);
  await card.getByRole("button", { name: "Cancel" }).click();
  await card.getByRole("button", { name: "Download" }).waitFor();
  group.same("cancelled: the card stays", [await card.locator(".loading").count()], [0]);
  letGo();
  own.held = undefined;
}

/** The next visit has the model without a question, and asks nobody. */
async function returns(context, { open, report }) {
  const group = report.group("tools: the next visit");
  const elsewhere = [];
  const page = await open(context, "picture/find", "", (what) => what.startsWith(HUB) && elsewhere.push(what));
  await page.getByRole("list", { name: "Found, best first" }).waitFor(LONG);
  group.same("no card", [await page.getByRole("region", { name: "Model" }).count()], [0]);
  group.same(
    "weights asked for",
    elsewhere.filter((what) => what.endsWith(".safetensors")),
    [],
  );
  // The label model loads by itself, when it can.
  await page.getByText("The model is ready").waitFor({ state: "attached", ...LONG });
  await page.evaluate(() => (location.hash = "#/models/find"));
  await page.getByRole("button", { name: "Unload OWLv2 base" }).click();
  const memory = page.getByRole("list", { name: "Models in memory" });
  group.same("unloaded", [await memory.getByText("no model loaded").count()], [3]);
  await page.evaluate(() => (location.hash = "#/picture/find"));
  await page.getByRole("list", { name: "Found, best first" }).waitFor(LONG);
  await page.evaluate(() => (location.hash = "#/models/find"));
  await page.getByRole("button", { name: "Unload OWLv2 base" }).waitFor();
  group.same("and loaded again when it is wanted", [await memory.getByText("no model loaded").count()], [2]);
  group.rejects("still unloaded", [await memory.getByText("no model loaded").count()], [3]);
  await page.evaluate(() => (location.hash = "#/models/label"));
  await page
    .getByRole("button", { name: /^Unload/ })
    .first()
    .click();
  await memory.getByText("no model loaded").nth(2).waitFor();
  await page.evaluate(() => (location.hash = "#/photos"));
  await page.getByRole("heading", { name: "Photos", level: 1 }).waitFor();
  await page.evaluate(() => (location.hash = "#/models/label"));
  // Once the list is there, it loses one.
  await memory.getByText("no model loaded").nth(1).waitFor();
  await memory
    .getByText("no model loaded")
    .nth(2)
    .waitFor({ state: "detached", ...LONG });
  group.same("photos bring the label model back", [await memory.getByText("no model loaded").count()], [2]);
  await page.close();
}
