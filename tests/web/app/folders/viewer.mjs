// A photo in the viewer of the page "Photos": by keyboard, and with the tools.
import { PATIENCE } from "./page.mjs";

export async function viewer({ report, axe, shots }, page) {
  const group = report.group("folders: a picture large, by keyboard");
  const first = page.locator(".results .pictures button").first();
  await first.focus();
  await page.keyboard.press("ArrowRight");
  const second = await page.evaluate(() => document.activeElement.dataset.path);
  group.same(
    "the arrow moves",
    [second],
    [await page.locator(".results .pictures button").nth(1).getAttribute("data-path")],
  );
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  const name = () => dialog.getByRole("heading").innerText();
  group.same("its name", [await name()], [second.split("/").at(-1)]);
  group.same("all scores", [await dialog.locator(".bars li").count()], [9]);
  await dialog.locator("img").waitFor();
  await page.waitForFunction(() => document.querySelector("dialog img").naturalWidth > 0);
  group.same(
    "the file, not the preview",
    [await dialog.locator("img").evaluate(({ naturalWidth }) => naturalWidth)],
    [320],
  );
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "folders-viewer");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(
    (name) => document.querySelector("dialog h2").textContent !== name,
    second.split("/").at(-1),
  );
  group.rejects("the next one is another", [await name()], [second.split("/").at(-1)]);
  await tools(report, axe, shots, page, dialog);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  group.same(
    "the grid has the focus again",
    [await page.evaluate(() => document.activeElement.dataset.path)],
    [second],
  );
}

/** The tools in the viewer: a photo is looked at when a tool is taken, and the next one when it comes. */
async function tools(report, axe, shots, page, dialog) {
  const group = report.group("folders: the tools in the viewer");
  const name = () => dialog.getByRole("heading").first().innerText();
  const label = async () => (await name()).replace(/^\d+-|\.png$/g, "");
  const found = () => dialog.locator(".found li").first().getAttribute("data-label", { timeout: PATIENCE });
  const first = await label();
  await dialog.getByRole("button", { name: "Find" }).click();
  const field = dialog.getByLabel("What to find");
  await field.fill(first);
  group.same("a thing by its name", [await found()], [first]);
  group.holds("a box over the photo", (await dialog.locator(".photo .box").count()) > 0);
  const edges = () =>
    dialog.locator(".photo").evaluate((photo) => {
      const [image, frame] = ["img", ".frame"].map((part) => photo.querySelector(part).getBoundingClientRect());
      return ["left", "top", "right", "bottom"].map((edge) => Math.round(image[edge] - frame[edge]));
    });
  group.same("boxes have the photo's edges", await edges(), [0, 0, 0, 0]);
  const violations = await axe(page);
  group.holds("axe", violations.length === 0, violations.join(" | "));
  await shots(page, "folders-viewer-find");
  await field.focus();
  await page.keyboard.press("ArrowLeft");
  group.same("arrows in the field stay there", [await label()], [first]);

  const waits = await dialog.getByRole("button", { name: "Next photo" }).evaluate(async (button) => {
    const viewer = button.closest("ocelli-viewer");
    const inert = () => viewer.querySelector(".aside [inert]") !== null;
    const before = inert();
    button.click();
    await viewer.updateComplete;
    return [before, inert()];
  });
  group.same("a tool waits until the next photo is there", waits, [false, true]);
  await page.waitForFunction((was) => !document.querySelector("dialog h2").textContent.includes(was), first);
  const second = await label();
  await field.fill(second);
  await dialog.locator(`.found li[data-label="${second}"]`).first().waitFor({ timeout: PATIENCE });
  group.rejects("the next photo is another", [second], [first]);

  await dialog.getByRole("button", { name: "Cut out" }).click();
  await dialog.getByLabel("What to cut out").fill(second);
  await dialog.getByRole("button", { name: `Show ${second}` }).waitFor({ timeout: PATIENCE });
  await dialog.locator(".photo canvas.effect").waitFor();
  await shots(page, "folders-viewer-cut");
  await dialog.getByRole("button", { name: "Tags" }).click();
  group.same("the tags again", [await dialog.locator(".bars li").count()], [9]);
  group.same("nothing over the photo", [await dialog.locator(".frame > *").count()], [0]);
}
