// The tool "Ask".
import { LONG, still } from "./layout.mjs";
import { opensScene, pick, takes } from "./tools-find.mjs";

/** What the app's own model says of a scene that no training has seen; nothing is downloaded from elsewhere. */
async function asksAtOnce({ page, report, hub }) {
  const group = report.group("tools: ask, with the app's own model");
  const asked = hub.asked.length;
  await opensScene(page, "ask", "bus");
  const field = page.getByRole("textbox", { name: "Ask about this image" });
  const said = [];
  for (const question of ["Is there a dog?", "Is there a guitar?"]) {
    await field.fill(question);
    await field.press("Enter");
    const exchange = page.locator(`[role=log] article[data-at="${said.length}"]`);
    await exchange.and(page.locator('[data-state="done"]')).waitFor(LONG);
    said.push(await exchange.locator(".written").innerText());
  }
  group.same("the field is empty again", [await field.inputValue()], [""]);
  group.same("a dog, and no guitar", said, ["yes", "no"]);
  group.rejects("a guitar, and no dog", said, ["no", "yes"]);
  group.same("asked of the hub", [hub.asked.length], [asked]);
}

export async function asking(test) {
  const { page, report, good } = test;
  await asksAtOnce(test);
  await takes(page, "ask", "SmolVLM 256M", "#/picture/ask");
  await pick(page, "rgb-61x37.png");
  const group = report.group("tools: ask");
  const thread = page.getByRole("log").getByRole("article");
  const exchange = (at) => page.locator(`[role=log] article[data-at="${at}"]`);
  const state = (at) => exchange(at).getAttribute("data-state");
  const answer = (at) => exchange(at).locator(".written").innerText();
  const done = (at) =>
    page.waitForFunction(
      (at) => /done|failed|stopped/.test(document.querySelector(`[role=log] article[data-at="${at}"]`)?.dataset.state),
      at,
      LONG,
    );
  // Each part of a text as it comes.
  await page.evaluate(() => {
    globalThis.lengths = new Set();
    new MutationObserver(() => {
      const { textContent = "" } = [...document.querySelectorAll(".written")].at(-1) ?? {};
      globalThis.lengths.add(textContent.length);
    }).observe(document.querySelector("ocelli-ask-tool"), { subtree: true, childList: true, characterData: true });
  });
  await page.getByRole("button", { name: "Describe" }).press("Enter");
  await done(0);
  const first = await answer(0);
  group.same("described", [await state(0), first.length > 0], ["done", true]);
  group.same("no blanks around it", [first], [first.trim()]);
  await still(page, group, "while it is written");
  group.holds("part by part", (await page.evaluate(() => globalThis.lengths.size)) > 3);
  group.holds("that it may be wrong is said once", (await page.getByText("Answers can be wrong").count()) === 1);
  await exchange(0).getByRole("button", { name: "Copy as alt text" }).click();
  await page.getByText("Copied.").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  group.same("as alt text: one line", [copied], [first.trim().replace(/\s+/g, " ")]);

  // A question of one's own, which is stopped.
  await page.getByRole("button", { name: "How many …?" }).click();
  await page.keyboard.type("dogs");
  const field = page.getByRole("textbox", { name: "Ask about this image" });
  group.same("where the name goes", [await field.inputValue()], ["How many dogs are there?"]);
  await page.keyboard.press("Enter");
  group.same("it is in the thread", [await exchange(1).locator(".question").innerText()], ["How many dogs are there?"]);
  await done(1);
  group.rejects("another answer", [await answer(1)], [first]);
  const inSight = () => {
    const { scrollHeight, clientHeight, scrollTop } = document.querySelector("[role=log]");
    return scrollHeight - clientHeight - scrollTop <= 1;
  };
  await page.waitForFunction(inSight, undefined, LONG);
  await good(group, "ask");

  const stopped = report.group("tools: ask, stopped");
  await page.evaluate(() => {
    // At the first word: the model is quicker than a test.
    const look = new MutationObserver(() => {
      const last = [...document.querySelectorAll("[role=log] article")].at(-1);
      if (last?.dataset.state !== "writing") return;
      look.disconnect();
      [...document.querySelectorAll("form button")].find(({ textContent }) => textContent.trim() === "Stop").click();
    });
    look.observe(document.querySelector("ocelli-ask-tool"), {
      subtree: true,
      childList: true,
      attributes: true,
      characterData: true,
    });
  });
  await page.getByRole("button", { name: "Detailed" }).click();
  await done(2);
  stopped.same("what was written stays", [await state(2), (await answer(2)).length > 0], ["stopped", true]);
  stopped.rejects("to its end", [await state(2), true], ["done", true]);
  await page.getByRole("button", { name: "One line" }).click();
  await done(3);
  stopped.same("the next one is answered", [await state(3)], ["done"]);

  // Another picture is another conversation; the same one again says the same.
  await page.getByRole("button", { name: "guitar", exact: true }).click();
  await page.getByRole("img", { name: "Sample drawing: guitar" }).first().waitFor(LONG);
  stopped.same("another picture: nothing was asked", [await thread.count()], [0]);
  await pick(page, "rgb-61x37.png");
  await page.getByRole("button", { name: "Describe" }).click();
  await done(0);
  stopped.same("the first picture again: the same words", [await answer(0)], [first]);
  await page.evaluate(() => (location.hash = "#/picture/ask?q=Is%20it%20red%3F"));
  stopped.same(
    "a question of an address waits in the field",
    [await field.inputValue(), await thread.count()],
    ["Is it red?", 1],
  );
}
