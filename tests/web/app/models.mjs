// The page "Models": what is in use, others from the list, an address or a folder, what is kept, the self-test and the benchmark.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HUB, imitateHub } from "./hub.mjs";
import { otherTasks } from "./models-tasks.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const CLIP = join(root, "tests", "fixtures", "clip");
const LONG = 180_000;

export async function models(test) {
  await choosing(test);
  await elsewhere(test);
  await folders(test);
  await trials(test);
  await keeping(test);
  await wayOut(test);
}

/** Waits until this model is in use. */
const inUse = (page, name) =>
  page.getByRole("heading", { name: `In use: ${name}`, exact: true }).waitFor({ timeout: LONG });
const headings = async (page) => [await page.getByRole("heading", { name: /^In use/ }).innerText()];
const facts = (page) =>
  page.$$eval(".facts div", (all) =>
    Object.fromEntries(all.map((one) => [one.children[0].textContent, one.children[1].textContent])),
  );
const keptNames = async (page) =>
  (await page.getByRole("list", { name: "Saved models" }).locator("b").allInnerTexts()).sort();
const kept = (page, names) =>
  page.waitForFunction(
    (names) =>
      [...document.querySelectorAll(".kept b")]
        .map(({ textContent }) => textContent)
        .sort()
        .join() === names,
    [...names].sort().join(),
    { timeout: LONG },
  );

async function choosing({ fresh, open, report, axe, shots }) {
  const group = report.group("models: the app's own");
  const page = await open(await fresh(), "models");
  await inUse(page, "Ocelli tiny");
  group.rejects("another is in use", await headings(page), ["In use: Ocelli tiny, 4-bit"]);
  const known = await facts(page);
  group.same(
    "facts",
    [known.Kind, known.Sees, known.Embedding, known.Weights],
    ["SigLIP", "64 × 64 px", "256-d", "q8"],
  );
  group.holds("what it runs on", /CPU|GPU/.test(known["Runs on"]), known["Runs on"]);
  await kept(page, ["Ocelli tiny"]);
  await page.getByRole("button", { name: "Use Ocelli tiny, 4-bit" }).click();
  await inUse(page, "Ocelli tiny, 4-bit");
  group.same("weights of the other", [(await facts(page)).Weights], ["q4"]);
  await kept(page, ["Ocelli tiny", "Ocelli tiny, 4-bit"]);
  const sizes = await page.getByRole("list", { name: "Saved models" }).innerText();
  group.holds("sizes", (sizes.match(/\d\.\d MB/g) ?? []).length === 2, sizes);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "models");
  await page.reload();
  await inUse(page, "Ocelli tiny, 4-bit");
  group.same(
    "after a reload nothing is fetched again",
    [(await facts(page))["Downloaded now"]],
    ["nothing, it was here"],
  );
  const listed = page.locator("ocelli-model-list li").filter({ hasText: "to download" });
  const incomplete = (words) =>
    words.filter(
      (text) => !/\d (MB|GB) to download/.test(text) || !/licence: \S/.test(text) || !/\d+ × \d+ px/.test(text),
    );
  const words = await listed.allInnerTexts();
  group.same("each of the hub's with size, licence and what it sees", incomplete(words), []);
  group.rejects("one without a licence", incomplete([...words, "A model, 5 MB to download, 224 × 224 px"]), []);
  group.holds("several", words.length >= 10, words.length);
  group.holds(
    "accuracies name who says so",
    words.every((text) => !/accuracy/.test(text) || /accuracy [\d.]+% \([^)]+\)/.test(text)),
  );
  group.holds(
    "each need has one to begin with",
    (await page.locator("ocelli-model-list ul").filter({ hasText: "recommended" }).count()) ===
      (await page.locator("ocelli-model-list ul").count()),
  );
  await page.getByText("Precision in memory:").click();
  // 166 MB in 16 bits are 83 million numbers, of 9 bits each.
  const memory = async () => [(await listed.first().innerText()).match(/about (\S+ \S+) of memory/)[1]];
  group.same("memory of a model in 16 bits", await memory(), ["93.4 MB"]);
  group.rejects("as if it had 32", await memory(), ["46.7 MB"]);
  const cost = async () => (await listed.first().innerText()).match(/about (\S+ \S+) of memory/)[1];
  await page.getByLabel("Precision", { exact: true }).first().selectOption({ label: "4-bit" });
  const small = await cost();
  await page.getByLabel("Precision", { exact: true }).first().selectOption({ label: "16-bit" });
  group.holds("the format changes what it costs", small !== (await cost()), small);
  await otherTasks(page, { group, incomplete, axe, shots });
  await page.close();
}

/** From the hub and other addresses: and nothing is asked of anyone before that. */
async function elsewhere({ fresh, open, report, server }) {
  const group = report.group("models: from Hugging Face, and an address");
  const context = await fresh();
  const hub = await imitateHub(context, CLIP);
  // What is not there is in the browser's console.
  const page = await open(context, "models", "", (what) => what.startsWith(HUB) || what.includes("404"));
  await inUse(page, "Ocelli tiny");
  group.same("asked before a choice", hub.asked, []);
  await page.getByText("Precision in memory:").click();
  await page.getByLabel("Precision", { exact: true }).first().selectOption({ label: "Original" });
  await page.getByRole("button", { name: "Use FashionCLIP" }).click();
  const dialog = page.getByRole("dialog", { name: "Download 608 MB?" });
  await dialog.waitFor();
  group.same("asked of anyone before the answer", hub.asked, []);
  await dialog.getByRole("button", { name: "Download" }).click();
  await inUse(page, "FashionCLIP");
  group.same("its kind", [(await facts(page)).Kind, (await facts(page)).Weights], ["CLIP", "f32"]);
  group.same(
    "asked of others",
    hub.asked.filter((path) => !path.startsWith("/patrickjohncyh/fashion-clip/resolve/")),
    [],
  );
  group.rejects("asked of the hub", hub.asked, []);
  await kept(page, ["FashionCLIP", "Ocelli tiny"]);
  const before = hub.asked.length;
  await page.getByLabel("Precision", { exact: true }).first().selectOption({ label: "8-bit" });
  await page.getByRole("button", { name: "Reload FashionCLIP" }).click();
  // The imitated files are far smaller than the catalogue says, so most of the model seems to be missing.
  await page.getByRole("dialog", { name: "Download 607 MB?" }).getByRole("button", { name: "Download" }).click();
  await page.waitForFunction(
    () => [...document.querySelectorAll(".facts dd")].some(({ textContent }) => textContent === "q8"),
    null,
    { timeout: LONG },
  );
  group.same(
    "again in another format: asked",
    [...new Set(hub.asked.slice(before).map((path) => path.split("/").at(-1)))],
    ["config.json"],
  );

  const address = page.getByRole("textbox", { name: "Address" });
  const load = page.getByRole("button", { name: "Load", exact: true });
  await load.click();
  group.same(
    "no address",
    [await page.getByRole("alert").filter({ hasText: "address" }).innerText()],
    ["Enter the address of a model first."],
  );
  group.same(
    "it is where one writes",
    [await address.evaluate((input) => input === document.activeElement)].map(String),
    ["true"],
  );
  await address.fill(`${server.url}images/`);
  await load.click();
  await page.getByRole("heading", { name: "The model couldn't be downloaded" }).waitFor({ timeout: LONG });
  group.same("the last one stays", await headings(page), ["In use: FashionCLIP"]);
  group.same(
    "where the click was, and nowhere else",
    [
      await page.locator("ocelli-other-model .notice").isVisible(),
      await page.locator("ocelli-model-status .notice").isVisible(),
    ].map(String),
    ["true", "false"],
  );
  group.holds("in one sentence", !/HTTP|expected/.test(await page.locator("ocelli-other-model .notice").innerText()));
  await page.locator("ocelli-other-model .notice summary").click();
  group.holds("with details below", /images/.test(await page.locator("ocelli-other-model .notice").innerText()));
  await address.fill("https://huggingface.co/some/other");
  await address.press("Enter");
  await inUse(page, "some/other");
  group.same("the trouble is gone", [await page.locator("main .notice").count()].map(String), ["0"]);
  const asked = hub.asked.length;
  for (const junk of ["foo bar", "foo", "a/b/c", "javascript:alert(1)", "C:\\models"]) {
    await address.fill(junk);
    await load.click();
    await page
      .getByRole("alert")
      .filter({ hasText: `“${junk}” is not an address.` })
      .waitFor();
  }
  group.same("junk: nothing is asked", [hub.asked.length], [asked]);
  await address.fill("some/third");
  await load.click();
  await inUse(page, "some/third");
  group.rejects("owner/name: something is asked", [hub.asked.length], [asked]);
  await address.fill(`${server.url}demo/models/ocelli-tiny-q4`);
  await page.getByLabel("Precision", { exact: true }).last().selectOption({ label: "8-bit" });
  await load.click();
  const refused = page.locator("ocelli-other-model .load-here .notice");
  await refused.waitFor({ timeout: LONG });
  const words = await refused.innerText();
  group.holds("quantised already: says so", /q4/.test(words) && /q8/.test(words), words);
  await page.getByLabel("Precision", { exact: true }).last().selectOption({ label: "Original" });
  await load.click();
  await inUse(page, "ocelli-tiny-q4");
  await page.close();
}

/** A folder of the user's own, in both ways in which browsers hand one out. */
async function folders({ fresh, open, report }) {
  const group = report.group("models: a folder on this device");
  const context = await fresh();
  await context.addInitScript(() => delete window.showDirectoryPicker);
  const page = await open(context, "models");
  await inUse(page, "Ocelli tiny");
  await page.locator("#model-folder").setInputFiles(CLIP);
  await inUse(page, "clip");
  group.same("its kind", [(await facts(page)).Kind], ["CLIP"]);
  group.rejects("the one before", [(await facts(page)).Kind], ["SigLIP"]);
  group.same("it is not kept", await keptNames(page), ["Ocelli tiny"]);
  await page.reload();
  await inUse(page, "Ocelli tiny");
  await page.close();

  const other = await fresh();
  await other.addInitScript(() => {
    window.showDirectoryPicker = async () => {
      if (window.refuse)
        throw new DOMException(window.refuse, window.refuse === "closed" ? "AbortError" : "SecurityError");
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("my-model", { create: true });
      for (const name of [
        "config.json",
        "manifest.json",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "model.safetensors.index.json",
        ...[1, 2, 3].map((at) => `model-0000${at}-of-00003.safetensors`),
      ]) {
        const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
        await writable.write(await (await fetch(`models/ocelli-tiny-q4/${name}`)).blob());
        await writable.close();
      }
      return folder;
    };
  });
  const picking = await open(other, "models");
  await inUse(picking, "Ocelli tiny");
  await picking.evaluate(() => (window.refuse = "closed"));
  await picking.getByRole("button", { name: "Choose a folder…" }).click();
  group.same("a window closed", await headings(picking), ["In use: Ocelli tiny"]);
  group.same("is no error", [await picking.getByRole("alert").filter({ hasText: "folder" }).count()].map(String), [
    "0",
  ]);
  await picking.evaluate(() => (window.refuse = "too much"));
  await picking.getByRole("button", { name: "Choose a folder…" }).click();
  await picking.getByText("The browser won't share this folder (too much)").waitFor();
  await picking.evaluate(() => (window.refuse = undefined));
  await picking.getByRole("button", { name: "Choose a folder…" }).click();
  await inUse(picking, "my-model");
  group.same("its weights", [(await facts(picking)).Weights], ["q4"]);
  await picking.close();
}

async function trials({ fresh, open, report, axe, shots }) {
  const group = report.group("models: self-test and benchmark");
  const context = await fresh({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await open(context, "models");
  await inUse(page, "Ocelli tiny");
  const tested = async (page) => {
    await page.getByRole("button", { name: "Run the check" }).click();
    const answer = page.locator("ocelli-self-test [role=status] > p").first();
    await answer.waitFor({ timeout: LONG });
    return answer.innerText();
  };
  const right = (words) => [/^All \d+ checks passed/.test(words)].map(String);
  group.same("the self-test", right(await tested(page)), ["true"]);
  await page.getByText("The checks", { exact: true }).click();
  const rows = await page.getByRole("region", { name: "The checks" }).getByRole("row").count();
  group.holds("every check is named", rows > 5, rows);

  const run = page.getByRole("button", { name: "Run the benchmark" });
  await run.click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await run.waitFor({ timeout: LONG });
  const figures = () => page.$$eval("[data-ms]", (all) => all.map(({ dataset }) => Number(dataset.ms)));
  group.same("cancelled: figures", await figures(), []);
  await run.click();
  await page.getByRole("button", { name: "Copy a report" }).click({ timeout: LONG });
  await page.getByText("Copied.").waitFor();
  const times = await figures();
  group.same("three figures", [times.length, times.every((ms) => ms > 0 && ms < Infinity)].map(String), ["3", "true"]);
  group.rejects("none", await figures(), []);
  const text = await page.evaluate(() => navigator.clipboard.readText());
  const lacking = (text) =>
    [
      "Model: Ocelli tiny (SigLIP, q8",
      "On: ",
      "Browser: Mozilla",
      "One image at a time: ",
      "Eight images at a time: ",
      "A text: ",
    ].filter((part) => !text.includes(part));
  group.same("what the report lacks", lacking(text), []);
  group.rejects("a report of less", lacking(text.split("\n").slice(0, 3).join("\n")), []);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await shots(page, "models-trials");
  await page.close();

  // Numbers that this device does not give.
  const wrong = await fresh();
  await wrong.route("**/goldens.json", async (route) => {
    const response = await route.fetch();
    const text = (await response.text()).replace(/-?0\.\d+/g, (number) => String(Number(number) + 0.5));
    await route.fulfill({ response, body: text });
  });
  const off = await open(wrong, "models");
  await inUse(off, "Ocelli tiny");
  const words = await tested(off);
  group.same("wrong reference numbers", right(words), ["false"]);
  group.rejects("a self-test that accepts them", right(words), ["true"]);
  await off.close();
}

async function keeping({ fresh, open, report }) {
  const group = report.group("models: what is kept");
  const context = await fresh();
  await context.addInitScript(() => {
    navigator.storage.persist = async () => (window.agrees ??= false);
    navigator.storage.persisted = async () => window.agrees ?? false;
    navigator.storage.estimate = async () => ({ usage: 20e6, quota: window.room ?? 10e9 });
  });
  const page = await open(context, "models");
  await inUse(page, "Ocelli tiny");
  await page.getByRole("button", { name: "Use Ocelli tiny, 4-bit" }).click();
  await inUse(page, "Ocelli tiny, 4-bit");
  await kept(page, ["Ocelli tiny", "Ocelli tiny, 4-bit"]);
  await page.getByRole("button", { name: "Remove Ocelli tiny", exact: true }).click();
  await kept(page, ["Ocelli tiny, 4-bit"]);
  group.same("one removed", await keptNames(page), ["Ocelli tiny, 4-bit"]);
  group.rejects("none removed", await keptNames(page), ["Ocelli tiny", "Ocelli tiny, 4-bit"]);
  const said = page.locator("ocelli-kept-models [role=status]");
  group.same("says so", [await said.innerText()], ["Ocelli tiny was removed."]);
  await page.getByRole("button", { name: "Remove Ocelli tiny, 4-bit" }).click();
  await page.getByText("Nothing is saved yet.").waitFor();
  group.holds(
    "the one in use: says what follows",
    /downloads it again/.test(await said.innerText()),
    await said.innerText(),
  );
  await page.reload();
  await inUse(page, "Ocelli tiny, 4-bit");
  group.holds(
    "it is fetched again",
    /MB/.test((await facts(page))["Downloaded now"]),
    (await facts(page))["Downloaded now"],
  );
  await kept(page, ["Ocelli tiny, 4-bit"]);
  page.once("dialog", (dialog) => dialog.dismiss());
  await page.getByRole("button", { name: "Remove all" }).click();
  group.same("all, and thought better of it", await keptNames(page), ["Ocelli tiny, 4-bit"]);
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Remove all" }).click();
  await page.getByText("Nothing is saved yet.").waitFor();
  group.holds(
    "how much room there is",
    /This site uses .* of the .*B that your browser allows/.test(await page.locator(".storage").innerText()),
  );
  const tooLarge = () => page.getByText("Too large for this browser to keep").count();
  group.same("room for every model, or none said", [await tooLarge()].map(String), ["0"]);
  await page.evaluate(() => (window.room = 3e8));
  const ask = page.getByRole("button", { name: "Protect from automatic clean-up" });
  await ask.click();
  await page.getByText("Your browser said no.").waitFor();
  group.holds("300 MB: the large ones are too large", (await tooLarge()) >= 3, await tooLarge());
  await page.evaluate(() => (window.agrees = true));
  await ask.click();
  await page.getByText("Protected from now on.").waitFor();
  group.same("then it is no question any more", [await ask.count()].map(String), ["0"]);
  await page.close();
}

/** The last choice cannot be had: another can. */
async function wayOut({ fresh, open, report }) {
  const group = report.group("models: the last one is gone");
  const context = await fresh();
  const hub = await imitateHub(context, CLIP);
  const may = (what) => what.includes(HUB);
  const page = await open(context, "models", "?model=hf:some/model", may);
  await inUse(page, "some/model");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Remove all" }).click();
  await page.getByText("Nothing is saved yet.").waitFor();
  await page.close();
  hub.gone = true;
  const next = await open(context, "models", "", may);
  await next.getByRole("heading", { name: "The model couldn't be downloaded" }).waitFor({ timeout: LONG });
  await next.getByRole("button", { name: "Use the built-in model" }).click();
  await inUse(next, "Ocelli tiny");
  group.same("the app's own", await headings(next), ["In use: Ocelli tiny"]);
  group.rejects("the lost one", await headings(next), ["In use: some/model"]);
  group.same("no trouble is left", [await next.locator("ocelli-model-status .notice").count()].map(String), ["0"]);
  await next.close();
}
