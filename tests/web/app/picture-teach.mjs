// "Teach it" on the page "Picture".
import { bars, winner } from "./picture.mjs";
import { choose, settled, unfold } from "./picture-sources.mjs";

export async function teaching(page, { report, axe, shots, sampleFile }) {
  const group = report.group("picture: teach it");
  const label = page.getByRole("combobox", { name: "Label to teach" });
  const taught = (name) =>
    page
      .getByRole("list", { name: "Taught labels" })
      .getByRole("listitem")
      .filter({ has: page.getByRole("heading", { name, exact: true }) });
  const previews = (name) => taught(name).getByRole("img").count();
  const wins = async (name) => {
    await page.waitForFunction((name) => document.querySelector(".best")?.textContent === name, name, {
      timeout: 60_000,
    });
    await settled(page);
    return winner(page);
  };

  await unfold(page, "Teach it by images");
  await choose(page, "cat");
  const before = await winner(page);
  group.rejects("the cat is missed at first", [before], ["cat"]);
  await page.getByRole("button", { name: "Add this image" }).click();
  await page.getByText("Enter one label first").waitFor();
  await label.fill("cat");
  await page.getByRole("button", { name: "Add this image" }).click();
  group.same("the cat, once taught", [await wins("cat"), await previews("cat")], ["cat", 1]);

  group.same("nothing is said of an error", [await page.getByText("gets it wrong.").isVisible()], [false]);

  // A new label by files: it is added to the list.
  await label.fill("space ship");
  await page.getByLabel("Add files").setInputFiles(["rocket", "dog"].map(sampleFile));
  await taught("space ship").waitFor();
  await settled(page);
  group.same(
    "a new label",
    [
      await previews("space ship"),
      (await bars(page)).filter(([name]) => name === "space ship").length,
      (await bars(page)).length,
    ],
    [2, 1, 17],
  );
  await shots(page, "picture-taught");
  group.same("axe", await axe(page), []);

  await label.fill("nothing");
  await page
    .getByLabel("Add files")
    .setInputFiles({ name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no picture at all") });
  await page.getByText("broken.png: This browser can't read the file as an image. Nothing was taught.").waitFor();
  group.same("a broken one teaches nothing", [await taught("nothing").count(), (await bars(page)).length], [0, 17]);

  await page.reload();
  await settled(page);
  await unfold(page, "Teach it by images");
  await choose(page, "cat");
  group.same("after a reload", [await wins("cat"), await previews("cat"), await previews("space ship")], ["cat", 1, 2]);
  await page.getByRole("button", { name: "Remove example 2 of space ship" }).click();
  await page.getByRole("button", { name: "Remove example 2 of space ship" }).waitFor({ state: "detached" });
  group.same("one removed", [await previews("space ship")], [1]);
  await page.getByRole("button", { name: "Forget cat" }).click();
  group.same("the cat, forgotten", [await wins(before), await taught("cat").count()], [before, 0]);
  await page.getByRole("button", { name: "Forget everything taught" }).click();
  await page.getByRole("list", { name: "Taught labels" }).waitFor({ state: "detached" });
  await page.reload();
  await settled(page);
  group.same(
    "all forgotten, also after a reload",
    [await page.getByRole("list", { name: "Taught labels" }).count()],
    [0],
  );
}
