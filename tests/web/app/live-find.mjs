// Live, with the tool "Find": boxes over what the camera sees.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HUB, imitateHub } from "./hub.mjs";
import { LONG, SCREENS, tooWide } from "./layout.mjs";
import { takes } from "./tools-find.mjs";

const OWLV2 = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures", "owlv2");

export async function finds({ fresh, open, report, axe, shots }) {
  const group = report.group("live: find");
  const context = await fresh();
  const hub = await imitateHub(context, OWLV2);
  const page = await open(context, "live/find", "", (what) => what.startsWith(HUB) || what.includes("404"));
  await page.getByLabel("What to find").waitFor(LONG);
  group.same("asked before a click", hub.asked, []);
  await takes(page, "find", "OWLv2 base", "#/live/find");
  await page.getByLabel("What to find").fill("a photo of a cat, TWO DOGS IN THE SNOW");
  // Of whatever the camera shows, some score is above the least.
  await page.getByLabel(/^Show from/).press("Home");
  await page.getByRole("button", { name: "Start the camera" }).press("Enter");
  const boxes = page.locator(".live .box");
  await boxes.first().waitFor(LONG);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.waitForTimeout(2000); // the frame that was under way
  const summed = async () => {
    const text = await page.locator(".live .sum").innerText();
    return [...text.matchAll(/ (\d+)(?= ·|$)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const count = await boxes.count();
  group.same("as many boxes as the line says", [await summed(), count > 0], [count, true]);
  group.rejects("one more", [await summed()], [count + 1]);
  const within = await boxes.evaluateAll((all) => {
    const frame = document.querySelector(".live .frame").getBoundingClientRect();
    return all.every((box) => {
      const { left, right, top, bottom } = box.getBoundingClientRect();
      return left >= frame.left - 4 && right <= frame.right + 4 && top >= frame.top - 4 && bottom <= frame.bottom + 4;
    });
  });
  group.holds("within the picture", within);
  await page.getByLabel(/^Show from/).press("End");
  group.same("from 95%", [await boxes.count(), await page.locator(".live .sum").innerText()], [0, "Nothing found."]);
  await page.getByLabel(/^Show from/).press("Home");
  group.holds("from 5%", (await boxes.count()) >= count);
  group.same("axe", await axe(page), []);
  await shots(page, "live-find");
  await page.setViewportSize(SCREENS.phone);
  group.same("as wide as a phone", [await tooWide(page)], [0]);
  await page.setViewportSize(SCREENS.desktop);

  // The camera goes on with the other tool.
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("list", { name: "Tools" }).getByRole("link", { name: "Label" }).press("Enter");
  await page.locator(".live [data-label]").first().waitFor(LONG);
  group.same("label: no box is left", [await boxes.count()], [0]);
  await page.close();
}
