// PaliGemma in the tool "Ask": a model that is asked in words of its own, and knows no conversation.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HUB, imitateHub } from "./hub.mjs";
import { LONG, SCREENS, tooWide, watchShifts } from "./layout.mjs";
import { takesOther } from "./other-model.mjs";
import { pick } from "./tools-find.mjs";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures");
const folder = join(fixtures, "decoders", "paligemma");
const NAME = "google/paligemma-3b-mix-224";
/** Characters of an answer that are compared. */
const BEGINNING = 10;
const QUESTION = "How many dogs are in the snow?";

export async function paligemma({ fresh, open, report, axe, shots }) {
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
  const context = await fresh();
  await context.addInitScript(watchShifts);
  await context.addInitScript(() => localStorage.setItem("ocelli-app.format", '"none"'));
  await imitateHub(context, join(fixtures, "clip"), { [NAME]: folder });
  const page = await open(context, "models/ask", "", (what) => what.startsWith(HUB) || /404/.test(what));
  const group = report.group("paligemma: ask");
  await takesOther(page, NAME, "ask");
  await pick(page, golden.images[0]);
  const exchange = (at) => page.locator(`[role=log] article[data-at="${at}"]`);
  const answer = async (at) => {
    await page.locator(`[role=log] article[data-at="${at}"][data-state="done"]`).waitFor(LONG);
    return (await exchange(at).locator(".written").innerText()).trim();
  };
  const code = () => page.locator("ocelli-use-in-app").textContent();
  await page.getByRole("button", { name: "Describe", exact: true }).click();
  const caption = await answer(0);
  group.holds("code that asks for a caption", (await code()).includes("caption: true"), await code());
  // A second question is a question of its own, and in the words that the model was trained for.
  const field = page.getByRole("textbox", { name: "Ask about this image" });
  await field.fill(QUESTION);
  await field.press("Enter");
  const said = await answer(1);
  // Tokens of places and codes are not written out, and the app's answers are longer.
  const begins = golden.text.replace(/<(loc|seg)\d+>/g, "").slice(0, BEGINNING);
  group.same("as the reference answers", [said.slice(0, begins.length)], [begins]);
  group.rejects("a caption", [caption.slice(0, begins.length)], [begins]);
  group.holds("code with the question", (await code()).includes(`question: "how many`), await code());
  await page.getByRole("button", { name: "What colour …?" }).click();
  await page.keyboard.type("dog");
  group.same("where the name goes", [await field.inputValue()], ["What colour is the dog?"]);
  group.same("axe", await axe(page), []);
  await page.setViewportSize(SCREENS.phone);
  group.same("as wide as a phone", [await tooWide(page)], [0]);
  await page.setViewportSize(SCREENS.desktop);
  await shots(page, "paligemma-ask");
  await page.close();
}
