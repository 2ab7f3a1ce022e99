// A database that is full or forbidden, and two tabs at once.
import { countEmbeddings, keptEmbeddings, onDisk, withoutPicker } from "../../lib/collection.mjs";
import { chip, done, PATIENCE } from "./page.mjs";

export async function storage({ fresh, open, report }, pictures) {
  const folder = onDisk("photos", pictures);
  const group = report.group("folders: a database full or forbidden");
  const troubles = [
    ["full", fullAfter, "Your browser's storage is full."],
    ["forbidden", forbidden, "Your browser won't let this app save anything"],
  ];
  for (const [name, script, words] of troubles) {
    const context = await fresh();
    context.setDefaultTimeout(PATIENCE);
    await context.addInitScript(withoutPicker);
    await context.addInitScript(script);
    const page = await open(context, "photos");
    await page.locator('input[data-kind="folder"]').setInputFiles(folder);
    await done(page, pictures.length);
    const said = await page.locator(".unkept").innerText();
    group.same(`${name}: said`, [said.includes(words)], [true]);
    group.rejects(`${name}: another reason`, [said.includes(troubles.find(([other]) => other !== name)[2])], [true]);
    await page.locator(".results .pictures img").first().waitFor({ timeout: PATIENCE });
    await chip(page, /^bicycle/).waitFor({ timeout: PATIENCE });
    await page.close();
  }

  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(withoutPicker);
  await context.addInitScript(countEmbeddings);
  const tabs = report.group("folders: two tabs");
  const pages = [await open(context, "photos"), await open(context, "photos")];
  for (const page of pages) {
    await page.bringToFront(); // a tab in the background takes no files
    await page.locator('input[data-kind="folder"]').setInputFiles(folder);
  }
  for (const page of pages) await done(page, pictures.length);
  const made = await Promise.all(pages.map((page) => page.evaluate(() => embedded)));
  tabs.same("each picture once", made.flat().sort(), pictures.map(({ name }) => `photos/${name}`).sort());
  tabs.rejects(
    "each of them twice",
    [...made.flat(), ...made.flat()],
    pictures.map(({ name }) => `photos/${name}`),
  );
  await pages[0].bringToFront();
  await pages[0].getByRole("button", { name: "1 folder" }).click();
  await pages[0].getByRole("button", { name: "Remove photos" }).click();
  await pages[0].getByRole("button", { name: /^Remove 24 photos/ }).click();
  await pages[1].locator(".results").waitFor({ state: "detached", timeout: PATIENCE });
  tabs.same("removed in one, gone in the other", await keptEmbeddings(pages[1]), []);
  for (const page of pages) await page.close();
}

/** For a page's start: after ten embeddings nothing more fits. */
function fullAfter() {
  const { put } = IDBObjectStore.prototype;
  let embeddings = 0;
  IDBObjectStore.prototype.put = function () {
    if (this.name === "embeddings" && ++embeddings > 10)
      throw new DOMException("Quota exceeded.", "QuotaExceededError");
    return put.apply(this, arguments);
  };
}

/** For a page's start: a browser that lets no page keep anything. */
function forbidden() {
  IDBFactory.prototype.open = () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  };
}
