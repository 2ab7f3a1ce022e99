// Florence-2 in the tools "Find" and "Ask": a model without scores and without questions.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HUB, imitateHub } from "./hub.mjs";
import { forgetShifts, LONG, SCREENS, still, tooWide, watchShifts } from "./layout.mjs";
import { takesOther } from "./other-model.mjs";
import { pick, settled } from "./tools-find.mjs";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures");
const NAME = "florence-community/Florence-2-base-ft";

export async function florence(test) {
  const { fresh, open, report, axe, shots } = test;
  const context = await fresh();
  await context.addInitScript(watchShifts);
  await context.addInitScript(() => localStorage.setItem("ocelli-app.format", '"none"'));
  await imitateHub(context, join(fixtures, "clip"), { [NAME]: join(fixtures, "florence") });
  const page = await open(context, "models/find", "", (what) => what.startsWith(HUB) || /404/.test(what));
  const good = async (group, tool) => {
    await still(page, group, tool);
    group.same(`${tool}: axe`, await axe(page), []);
    await page.setViewportSize(SCREENS.phone);
    group.same(`${tool}: as wide as a phone`, [await tooWide(page)], [0]);
    await page.setViewportSize(SCREENS.desktop);
    await shots(page, `florence-${tool}`);
    await forgetShifts(page);
  };
  const loads = (tool, before) => takesOther(page, NAME, tool, before);
  await finds({ ...test, page, good, loads });
  await asks({ ...test, page, good, loads });
  await page.close();
}

async function finds({ page, report, good, loads }) {
  const group = report.group("florence: find");
  await loads("find");
  await pick(page, "rgb-61x37.png");
  const rows = page.getByRole("list", { name: "Found, best first" }).getByRole("listitem");
  const labels = () => rows.evaluateAll((all) => all.map(({ dataset }) => dataset.label));
  await page.getByLabel("What to find").fill("a black cat");
  await rows.first().waitFor(LONG);
  await settled(page);
  const one = await labels();
  group.same("each is what was asked", [...new Set(one)], ["a black cat"]);
  group.same("no score is shown", [/%/.test(await page.locator("main").innerText())], [false]);
  group.same("and none is to be chosen", [await page.getByRole("slider").count()], [0]);
  group.same("boxes over the image", [await page.locator(".boxes .box").count()], [one.length]);
  group.rejects("words that were not asked", [...new Set(one)], ["a dog"]);
  const code = await page.locator("ocelli-use-in-app").textContent();
  group.holds("code with its task", code.includes("open-vocabulary-detection"), code);
  await good(group, "find");
}

async function asks({ page, report, good, loads }) {
  const group = report.group("florence: ask");
  await loads("ask", 1);
  const exchange = (at) => page.locator(`[role=log] article[data-at="${at}"]`);
  const done = (at) => page.locator(`[role=log] article[data-at="${at}"][data-state="done"]`).waitFor(LONG);
  const answer = (at) => exchange(at).locator(".written").innerText();
  await page.getByRole("button", { name: "Caption", exact: true }).click();
  await done(0);
  await page.getByRole("button", { name: "Read the text" }).click();
  await done(1);
  await page.getByRole("button", { name: "Name what is there" }).click();
  await done(2);
  const questions = await page.locator(".question").allInnerTexts();
  group.same("in the thread", questions, ["Caption", "Read the text", "Name what is there"]);
  group.holds("a caption", (await answer(0)).length > 0, await answer(0));
  group.rejects("the names as a caption", [await answer(2)], [await answer(0)]);
  group.same(
    "no question of one's own",
    [await page.getByRole("textbox", { name: "Ask about this image" }).count()],
    [0],
  );
  group.same("nothing to stop", [await page.getByRole("button", { name: "Stop" }).isDisabled()], [true]);
  await good(group, "ask");
}
