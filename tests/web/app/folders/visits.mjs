// Folders that change, namesakes, pause and go on, single photos.
import {
  arrive,
  countEmbeddings,
  drawn,
  inOrigin,
  keptEmbeddings,
  onDisk,
  pickOrigin,
  withoutPicker,
} from "../../lib/collection.mjs";
import { askFolder, done, PATIENCE, says, state, tiles } from "./page.mjs";

/** A folder that changes between visits; one picked twice; two of the same name. */
export async function visits({ fresh, open, report }, pictures) {
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(pickOrigin);
  await context.addInitScript(countEmbeddings);
  const first = await open(context, "photos");
  const pick = async (page, folder, words) => {
    await page.evaluate((folder) => (globalThis.folderToPick = folder), folder);
    await askFolder(page);
    await page.locator(".found").getByText(words).waitFor({ timeout: PATIENCE });
  };
  const some = pictures.slice(0, 10);
  await inOrigin(first, "one/photos", some);
  await inOrigin(
    first,
    "two/photos",
    pictures.slice(10, 13).map((one, i) => ({ ...one, name: some[i].name })),
  );
  const group = report.group("folders: folders that change, and namesakes");
  await pick(first, "one/photos", "10 new");
  await done(first, 10);
  await pick(first, "one/photos", "nothing has changed");
  group.same("picked twice, embedded once", [(await first.evaluate(() => embedded)).length], [10]);
  await inOrigin(first, "one/photos", [{ name: some[0].name, bytes: pictures[20].bytes }, pictures[21]]);
  await first.evaluate(async (name) => {
    const folder = await (
      await (await navigator.storage.getDirectory()).getDirectoryHandle("one")
    ).getDirectoryHandle("photos");
    await folder.removeEntry(name);
  }, some[1].name);
  await first.close();

  // The browser may read the folder again: it is looked at by itself.
  const page = await open(context, "photos");
  await page.waitForFunction(() => embedded.length >= 2, null, { timeout: PATIENCE });
  await done(page, 10);
  const again = await page.evaluate(() => embedded);
  group.same(
    "only what is new or changed",
    again.sort(),
    [`photos/${some[0].name}`, `photos/${pictures[21].name}`].sort(),
  );
  group.rejects(
    "all of them",
    again,
    some.map(({ name }) => `photos/${name}`),
  );
  const kept = async () => (await keptEmbeddings(page)).sort();
  const now = [some[0], ...some.slice(2), pictures[21]].map(({ name }) => `photos/${name}`).sort();
  group.same("what is gone is forgotten", await kept(), now);

  await pick(page, "two/photos", "3 new");
  await done(page, 13);
  await page.getByRole("button", { name: "2 folders" }).click();
  group.same(
    "a namesake is another folder",
    await kept(),
    [...now, ...some.slice(0, 3).map(({ name }) => `photos (2)/${name}`)].sort(),
  );
  await page.getByRole("button", { name: "Look for changes in photos (2)" }).click();
  await page.locator(".found").getByText("nothing has changed").waitFor({ timeout: PATIENCE });
  await page.getByRole("button", { name: "Remove photos (2)" }).click();
  await page.getByRole("button", { name: "Remove 3 photos from Ocelli" }).click();
  await done(page, 10);
  group.same("a removed folder is forgotten", await kept(), now);

  await inOrigin(page, "empty/nothing", []).catch(() => {});
  await page.evaluate(() => (globalThis.folderToPick = "empty/nothing"));
  await askFolder(page);
  await page.getByRole("alert").getByText("There are no images in “nothing”").waitFor();
  await page.evaluate(async () => (await navigator.storage.getDirectory()).removeEntry("one", { recursive: true }));
  await page.getByRole("button", { name: "Look for changes in photos" }).click();
  await page.getByRole("alert").getByText("can't be read").waitFor({ timeout: PATIENCE });
  group.same("a folder that has vanished loses nothing", await kept(), now);
  await page.getByRole("button", { name: "Dismiss" }).click();
  await page.close();

  // Another model sees all of them anew; this one's are kept beside.
  const third = await open(context, "photos", "?model=models/ocelli-tiny-q4/");
  await third.getByText(/of 10 indexed/).waitFor({ timeout: PATIENCE });
  group.same("another model has seen none", [/ 0 of 10 indexed/.test(await state(third))], [true]);
  await third.close();
}

/** Pause, resume, cancel, go on. */
export async function steering({ fresh, open, report, axe }) {
  const many = drawn(48);
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(withoutPicker);
  await context.addInitScript(countEmbeddings);
  const page = await open(context, "photos");
  const group = report.group("folders: pause, resume, cancel, go on");
  const folder = onDisk("many", many);
  await page.locator('input[data-kind="folder"]').setInputFiles(folder);
  await page.getByRole("button", { name: "Pause" }).click({ timeout: PATIENCE });
  await page.getByText(/ indexed, paused$/).waitFor();
  // The batch under way is written to its end.
  const count = () => page.evaluate(() => embedded.length);
  let at = -1;
  while (at !== (at = await count())) await page.waitForTimeout(2000);
  group.same("paused: nothing more", [await count(), at < 48], [at, true]);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await page.getByRole("button", { name: "Resume" }).click();
  await page.waitForFunction((at) => embedded.length > at, at, { timeout: PATIENCE });
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Continue" }).waitFor({ timeout: PATIENCE });
  const cancelled = await count();
  group.same("cancelled: some are done", [cancelled > at, cancelled < 48], [true, true]);
  const said = `48 photos · ${cancelled} of 48 indexed`;
  group.same("and said", [(await state(page)).startsWith(said)], [true]);
  await page.reload();
  const pick = page.getByRole("button", { name: "Choose “many” again to continue" });
  await pick.waitFor({ timeout: PATIENCE });
  await says(page, said);
  group.same("said at the next visit", [await state(page)], [said]);
  const chosen = page.waitForEvent("filechooser");
  await pick.click();
  await (await chosen).setFiles(folder);
  await done(page, 48);
  group.same("each picture once", [(await count()) + cancelled, new Set(await keptEmbeddings(page)).size], [48, 48]);
  group.rejects("one was lost", [(await count()) + cancelled - 1], [48]);
  await page.close();
}

/** Pictures without a folder: picked, and dropped. */
export async function singles({ fresh, open, report }, pictures) {
  const context = await fresh();
  context.setDefaultTimeout(PATIENCE);
  const page = await open(context, "photos");
  const group = report.group("folders: single pictures, picked and dropped");
  const file = ({ name, bytes }) => ({ name, mimeType: "image/png", buffer: Buffer.from(bytes) });
  const chosen = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose photos" }).click();
  await (await chosen).setFiles(pictures.slice(0, 2).map(file));
  await done(page, 2);
  await arrive(page, "drop", file({ name: pictures[0].name, bytes: pictures[5].bytes }));
  await done(page, 3);
  const paths = async () => Object.keys(await tiles(page)).sort();
  const expected = [pictures[0].name, pictures[0].name.replace(".png", " (2).png"), pictures[1].name]
    .map((name) => `Single images/${name}`)
    .sort();
  group.same("a namesake is another picture", await paths(), expected);
  group.rejects("one is missing", await paths(), expected.slice(1));
  await arrive(page, "drop", { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.alloc(0) });
  await page.getByRole("alert").getByText("None of these files is an image").waitFor();
  await arrive(page, "drop", file({ name: "new.png", bytes: pictures[6].bytes }));
  await done(page, 4);
  group.same("the next drop works", [await page.getByRole("alert").getByText("None of these files").count()], [0]);
  await page.close();
}
