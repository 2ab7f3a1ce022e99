// The tool "Label" of the page "Picture": every way to a picture, labels that are judged without running it again, scores, threshold, what was taught.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { largest } from "../lib/report.mjs";
import { teaching } from "./picture-teach.mjs";
import { alt, choose, settled, sources, unfold } from "./picture-sources.mjs";

const samplesFolder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www", "samples");
export const sampleFile = (name) => join(samplesFolder, `${name}.png`);
const sampleBytes = (name) => readFileSync(sampleFile(name));

export async function picture(tools) {
  const { fresh, open, report, axe, shots } = tools;
  const context = await fresh({ permissions: ["camera", "clipboard-read", "clipboard-write"] });
  await context.addInitScript(countRuns);
  const page = await open(context, "picture");
  await settled(page);
  const clean = report.group("picture: axe");
  const nothing = async (when) => clean.same(when, await axe(page), []);
  await nothing("first answer");
  clean.rejects("a finding", ["image-alt"], []);
  await shots(page, "picture");

  await unfold(page, "Performance");
  await samples(page, report);
  await folded(page, report);
  await sources(page, { ...tools, sampleBytes, sampleFile, nothing });
  await typing(page, report);
  await scores(page, report);
  await threshold(page, report);
  await lists(page, report);
  await teaching(page, { report, axe, shots, sampleFile });
  await page.evaluate(() => document.querySelector("main img").removeAttribute("alt"));
  const axes = report.group("picture: axe, of a picture without words");
  axes.same("found", [(await axe(page)).some((one) => one.startsWith("image-alt"))], [true]);
  axes.rejects("not found", [(await axe(page)).length > 0], [false]);
  await page.close();
  await start(tools);
}

/** In the page, before its scripts: counts what is asked of the worker that runs pictures, whatever the page says of itself. */
function countRuns() {
  globalThis.runs = 0;
  for (const { prototype } of [Worker, MessagePort]) {
    const post = prototype.postMessage;
    prototype.postMessage = function (message, ...more) {
      if (["embedImages", "classify"].includes(message?.path?.at?.(-1))) globalThis.runs++;
      return post.call(this, message, ...more);
    };
  }
}

/** What was asked of the worker, and what the page says. */
const runs = async (page) => [
  await page.evaluate(() => globalThis.runs),
  Number(/\d+/.exec(await page.locator('[data-fact="images processed"] dd').innerText())),
];

/** Labels and scores as the bars have them, best first. */
export const bars = (page) =>
  page
    .locator("ocelli-score-bars [data-label]")
    .evaluateAll((all) => all.map(({ dataset }) => [dataset.label, Number(dataset.score)]));

/** The label that the page puts into words. */
export const winner = (page) =>
  page
    .locator(".best")
    .innerText()
    .then((text) => text.toLowerCase());

const labelsField = (page) => page.getByRole("textbox", { name: /^Labels to choose from/ });

async function write(page, labels) {
  await labelsField(page).fill(labels);
  await settled(page);
}

/** Every sample with its own label above all others, but the one of which the page says that it is missed. */
async function samples(page, report) {
  const group = report.group("picture: samples");
  const names = await page
    .getByRole("group", { name: "Sample images" })
    .getByRole("button")
    .evaluateAll((all) => all.map((button) => button.dataset.sample));
  let said = 0;
  for (const name of names) {
    const before = await runs(page);
    const again = await choose(page, name);
    const [[best, most], [second, next]] = await bars(page);
    const missed = await page.getByText("the starter model gets it wrong.").isVisible();
    if (missed) said++;
    group.same(`${name}: on top`, [best === name && most > next, await winner(page)], [!missed, best]);
    group.rejects(`${name}: the second one`, [best], [second]);
    group.same(
      `${name}: runs`,
      await runs(page),
      before.map((count) => count + (again ? 0 : 1)),
    );
  }
  group.same("one is missed, and it is the cat", [names.length, said, names.at(-1)], [9, 1, "cat"]);
}

/** Five labels are shown, and the others when they are asked for; chips take labels away and bring them. */
async function folded(page, report) {
  const group = report.group("picture: the five best, and chips");
  const shown = () => page.getByRole("list", { name: "Labels, best first" }).getByRole("listitem").count();
  const chips = page.getByRole("list", { name: "Labels", exact: true }).getByRole("listitem");
  await choose(page, "guitar");
  group.same("at first", [await shown()], [5]);
  await page.getByRole("button", { name: "11 more" }).press("Enter");
  group.same("more", [await shown()], [16]);
  group.rejects("five", [await shown()], [5]);
  await page.getByRole("button", { name: "Show less" }).click();
  group.same("less", [await shown(), await chips.count()], [5, 16]);

  await page.getByRole("button", { name: "Remove guitar" }).press("Enter");
  await settled(page);
  group.same("one removed", [await chips.count(), (await bars(page)).length], [15, 15]);
  group.holds("another is the best", (await winner(page)) !== "guitar");
  const field = page.getByRole("textbox", { name: "Add a label" });
  group.same("whoever removed it can type", [await field.evaluate((one) => one === document.activeElement)], [true]);
  await page.keyboard.type("lamp,guitar");
  await page.keyboard.press("Enter");
  await settled(page);
  group.same("two added", [await chips.count(), await winner(page)], [17, "guitar"]);
  await page.keyboard.press("Backspace");
  await page.keyboard.press("Backspace");
  await settled(page);
  group.same("and taken back", [await chips.count(), (await bars(page)).length], [15, 15]);
  await page.keyboard.type("guitar");
  await page.keyboard.press("Enter");
  await settled(page);
}

/** Labels change the bars, and nothing is run for them; another picture is run once. */
async function typing(page, report) {
  const group = report.group("picture: labels, without another run");
  await unfold(page, "Advanced");
  await choose(page, "guitar");
  const before = await runs(page);
  for (const [labels, best] of [
    ["spoon, guitar, tent", "guitar"],
    ["spoon\ntent", undefined],
    ["guitar , guitar,  electric   guitar", undefined],
  ]) {
    await write(page, labels);
    const expected = [...new Set(labels.split(/[\n,]/).map((label) => label.trim().replace(/\s+/g, " ")))];
    const found = (await bars(page)).map(([label]) => label);
    group.same(labels, [...found].sort(), expected.sort());
    group.rejects(`${labels}: one more`, [...found].sort(), [...expected, "spoon"]);
    if (best) group.same(`${labels}: on top`, [await winner(page)], [best]);
  }
  group.same("runs", await runs(page), before);
  const busy = async (text) => {
    const typed = await labelsField(page).evaluate(async (field, text) => {
      field.value = text;
      field.dispatchEvent(new InputEvent("input", { bubbles: true }));
      await new Promise(requestAnimationFrame);
      const answer = document.querySelector('section[aria-label="Answer"]');
      return [answer.ariaBusy, answer.querySelectorAll("[data-score]").length > 0];
    }, text);
    await settled(page);
    return typed;
  };
  group.same("the old answer stays, and counts as old", await busy("tent, spoon, lamp"), ["true", true]);
  group.rejects("the same labels are not awaited", await busy("tent, spoon,  lamp"), ["true", true]);
  await choose(page, "rocket");
  group.same(
    "runs, with another picture",
    await runs(page),
    before.map((count) => count + 1),
  );
  group.rejects("runs: the picture's", await runs(page), before);
  await labelsField(page).fill(" , ");
  await page.getByText("Enter at least one label.").waitFor();
  await write(page, "rocket, guitar");
  group.same("after no label at all", [await winner(page)], ["rocket"]);

  await page.getByRole("textbox", { name: /^Custom prompt/ }).fill("a picture");
  await page.getByText("Put {} where the label belongs.").waitFor();
  await page.getByRole("textbox", { name: /^Custom prompt/ }).fill("a drawing of a {}");
  await settled(page);
  group.same("another sentence", [await page.getByText("“a drawing of a rocket”").count()], [1]);
  await page.getByRole("textbox", { name: /^Custom prompt/ }).fill("a picture of a {}");
  await page.getByRole("combobox", { name: "Lists" }).selectOption({ label: "Things" });
  await settled(page);
}

/** Each score's numbers follow from the others. */
async function scores(page, report) {
  const group = report.group("picture: scores agree with one another", largest, 1e-5);
  await choose(page, "guitar");
  await page.getByRole("button", { name: "11 more" }).click();
  const found = {};
  for (const score of ["softmax", "sigmoid", "cosine", "logits"]) {
    await page.getByRole("radio", { name: score }).check({ force: true });
    await page.getByText(`Score: ${score}.`).waitFor();
    await settled(page);
    found[score] = await bars(page);
    const said = await page.locator("#score-help").innerText();
    group.holds(`${score}: a sentence on it`, said.length > 30, said);
  }
  const numbers = (score) => found[score].map(([, value]) => value);
  const logits = numbers("logits");
  const softmax = (logits) => {
    const powers = logits.map((logit) => Math.exp(logit - logits[0]));
    return powers.map((power) => power / powers.reduce((a, b) => a + b));
  };
  const sigmoid = (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  group.same("softmax of logits", softmax(logits), numbers("softmax"));
  group.same("sigmoid of logits", sigmoid(logits), numbers("sigmoid"));
  group.rejects("softmax of others", softmax(logits.map((logit) => logit / 2)), numbers("softmax"));
  group.rejects("sigmoid is not softmax", sigmoid(logits), numbers("softmax"));
  // Logits are scale · cosine + bias: two of them say which, and all others must be on the line.
  const cosines = numbers("cosine");
  const scale = (logits[0] - logits.at(-1)) / (cosines[0] - cosines.at(-1));
  group.same(
    "cosine of logits",
    logits.map((logit) => cosines[0] + (logit - logits[0]) / scale),
    cosines,
  );
  group.rejects(
    "cosines in another order",
    logits.map((logit) => cosines[0] + (logit - logits[0]) / scale),
    [...cosines].reverse(),
  );
  const order = report.group("picture: scores, order and words");
  for (const score of Object.keys(found))
    order.same(
      `${score}: labels`,
      found[score].map(([label]) => label),
      found.logits.map(([label]) => label),
    );
  order.rejects(
    "labels: others",
    found.softmax.map(([label]) => label),
    found.logits.map(([label]) => label).reverse(),
  );
  const said = async (score) => {
    await page.getByRole("radio", { name: score }).check({ force: true });
    await page.getByText(`Score: ${score}.`).waitFor();
    return (await page.getByRole("list", { name: "Labels, best first" }).getByRole("listitem").allInnerTexts()).map(
      (text) => Number(/([−\d.]+)%?$/.exec(text)[1].replace("−", "-")),
    );
  };
  const rounded = (score, factor) => numbers(score).map((value) => Math.round(value * factor) / factor);
  order.same("cosines as said", await said("cosine"), rounded("cosine", 1000));
  order.same("logits as said", await said("logits"), rounded("logits", 100));
  order.same("the best one's percent", (await said("sigmoid")).slice(0, 1), [
    Math.round(numbers("sigmoid")[0] * 1000) / 10,
  ]);
  await said("softmax");
}

async function threshold(page, report) {
  const group = report.group("picture: threshold");
  const slider = page.getByRole("slider", { name: /^Threshold/ });
  const pale = () => page.locator("ocelli-picture .bars .below").count();
  group.same("none at first", [await pale(), await slider.getAttribute("aria-valuetext")], [0, "none"]);
  await choose(page, "castle");
  await slider.focus();
  for (let step = 0; step < 5; step++) await page.keyboard.press("ArrowRight");
  const rows = await bars(page);
  const above = rows.filter(([, score]) => score >= 0.05).length;
  const expected = [rows.length - above, "5%", `${above} of 16 labels ${above < 2 ? "is" : "are"} above.`];
  const state = async () => [
    await pale(),
    await slider.getAttribute("aria-valuetext"),
    await page.locator("#above").innerText(),
  ];
  group.same("five percent", await state(), expected);
  group.rejects("one more", await state(), [expected[0] + 1, ...expected.slice(1)]);
  await page.getByRole("radio", { name: "cosine" }).check({ force: true });
  await page.getByText("Score: cosine.").waitFor();
  group.same("each score has its own", [await pale(), await slider.getAttribute("aria-valuetext")], [0, "none"]);
  await page.getByRole("radio", { name: "softmax" }).check({ force: true });
  await page.getByText("Score: softmax.").waitFor();
  group.same("back again", await state(), expected);
  await slider.focus();
  await page.keyboard.press("End");
  group.same("nothing is above 100%", await state(), [16, "100%", "None of 16 labels is above."]);
  await page.keyboard.press("Home");
  group.same("none", [await pale(), await slider.getAttribute("aria-valuetext")], [0, "none"]);
}

/** A list that was kept is there on the next visit, as is the text. */
async function lists(page, report) {
  const group = report.group("picture: lists of one's own");
  const take = async (label) => {
    await page.getByRole("combobox", { name: "Lists" }).selectOption({ label });
    await settled(page);
    return labelsField(page).inputValue();
  };
  await write(page, "castle, pear, spoon");
  await page.getByRole("textbox", { name: "Name for this list" }).fill("Mine");
  await page.getByRole("button", { name: "Save list" }).click();
  await page.getByRole("option", { name: "Mine" }).waitFor({ state: "attached" });
  await page.reload();
  await settled(page);
  await unfold(page, "Advanced");
  group.same("the text after a reload", [await labelsField(page).inputValue()], ["castle, pear, spoon"]);
  const animals = await take("Animals");
  group.holds("a suggestion", animals.includes("penguin"), animals);
  group.rejects("a suggestion is not mine", [animals], ["castle, pear, spoon"]);
  group.same("mine", [await take("Mine")], ["castle, pear, spoon"]);
  group.same("its bars", (await bars(page)).map(([label]) => label).sort(), ["castle", "pear", "spoon"]);
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("option", { name: "Mine" }).waitFor({ state: "detached" });
  await take("Things");
}

/** Labels without scores while the model is on its way; and a page that comes after the model. */
async function start({ fresh, open, report }) {
  const group = report.group("picture: before and after the model");
  const context = await fresh();
  let letGo = () => {};
  const held = new Promise((resolve) => (letGo = resolve));
  await context.route(/\/models\//, async (route) => {
    await held;
    await route.continue().catch(() => {});
  });
  const page = await open(context, "picture");
  const items = page.locator("ocelli-score-bars li");
  await items.first().waitFor();
  group.same(
    "labels without scores",
    [await items.count(), await items.filter({ hasText: /\d/ }).count(), await alt(page)],
    [16, 0, "Sample drawing: guitar"],
  );
  letGo();
  await settled(page);
  group.same("then with them", [(await bars(page)).length, await winner(page)], [16, "guitar"]);
  group.rejects("with scores", [await items.filter({ hasText: /\d/ }).count()], [0]);
  // A page that was left is found as it was.
  await choose(page, "dog");
  for (const name of ["Models", "Picture"]) await page.getByRole("navigation").getByRole("link", { name }).click();
  await page.waitForFunction(() => document.documentElement.dataset.page === "picture");
  group.same("left and found again", [await alt(page), await winner(page)], ["Sample drawing: dog", "dog"]);
  await page.close();

  const late = await open(await fresh(), "models");
  await late.getByText("The model is ready").waitFor({ state: "attached", timeout: 120_000 });
  await late.getByRole("navigation").getByRole("link", { name: "Picture" }).click();
  await settled(late);
  group.same("after the model", [await winner(late)], ["guitar"]);
  await late.close();

  // What a link asks.
  const asked = await open(await fresh(), "picture/label?labels=tent,guitar&template=a%20drawing%20of%20a%20%7B%7D");
  await settled(asked);
  const both = (await bars(asked)).map(([label]) => label);
  group.same("labels of an address", [...both, await winner(asked)], ["guitar", "tent", "guitar"]);
  group.rejects("those of the app", both, ["dog", "cat"]);
  group.holds("and their prompt", await asked.getByText("“a drawing of a guitar”").isVisible());
  await asked.getByText("Use this in your app").click();
  const code = await asked.getByRole("region", { name: "Code" }).innerText();
  group.holds("code", /\["tent", "guitar"\]/.test(code) && code.includes('"a drawing of a {}"'), code);
  await asked.close();

  // Another model by the address: its facts, and no word of what the built-in one cannot do.
  const facts = (page) =>
    Promise.all(
      ["weights", "model"].map((name) =>
        page
          .locator(`[data-fact="${name}"] dd`)
          .evaluate((dd) => [...dd.childNodes].find(({ nodeType, data }) => nodeType === 3 && data.trim()).data),
      ),
    );
  const other = await open(await fresh(), "picture", "?model=models/ocelli-tiny-q4/");
  await settled(other);
  group.same(
    "another model",
    [...(await facts(other)), await other.getByText("The starter model is tiny").count()],
    ["q4", "ocelli-tiny-q4", 0],
  );
  group.rejects("the built-in one", await facts(other), ["q8", "Ocelli tiny"]);
  await other.close();
}
