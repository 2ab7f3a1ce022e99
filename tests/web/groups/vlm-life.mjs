// What ends a text in its middle: signals at every step, a device that goes, a worker that dies; and that the next text is right.
import { readFileSync } from "node:fs";
import { picture } from "../lib/finders.mjs";
import { watchLife } from "../lib/life.mjs";

const LONG = { maxTokens: 32, specialTokens: true, detail: "high" };

export async function vlmLife(test) {
  const page = await test.browser.newPage();
  await page.addInitScript(watchLife);
  await page.goto(test.server.page);
  const of = (model) => {
    const golden = JSON.parse(readFileSync(`${test.fixtures.folder}/decoders/${model}/golden.json`, "utf8"));
    return { ...test, page, model, golden, prompt: { raw: golden.raw, images: golden.images.map(picture) } };
  };
  try {
    for (const [model, where, options] of [
      ["smolvlm", "CPU", { backend: "cpu" }],
      ["smolvlm", "worker", { backend: "cpu", worker: true }],
      // Of a picture that is stopped half way nothing is kept.
      ["llava-onevision-shrunk", "CPU", { backend: "cpu" }],
    ])
      await signals({ ...of(model), where, options });
    await losses(of("smolvlm"));
  } finally {
    await page.close();
  }
}

const loadInto = (page, model, options) =>
  page.evaluate((a) => web.loadVlm("m", ...a), [`/fixtures/decoders/${model}/`, options]);

/** At the first turns of the event loop: while pictures are decoded, tiles looked at, the prompt read; then at tokens. */
async function signals({ page, report, model, golden, prompt, where, options }) {
  const group = report.group(`vlm: signals, ${model}, ${where}`);
  await loadInto(page, model, options);
  const write = (act) => page.evaluate((a) => web.write("m", ...a), [prompt, LONG, act]);
  const whole = async (name) => group.same(`${name}: the next text`, (await write()).tokens, golden.tokens);
  const codes = new Set();
  for (let turns = 0; turns < 24; turns += 2) {
    const { code, value } = await page.evaluate((a) => web.writtenUntil("m", ...a), [prompt, turns, LONG]);
    codes.add(code);
    if (value) group.same(`after ${turns} turns: ended before`, value.tokens, golden.tokens);
    else group.same(`after ${turns} turns`, code, "aborted");
    await whole(`after ${turns} turns`);
  }
  group.holds("some were stopped", codes.has("aborted"), [...codes].join());
  for (const at of [1, 2, 7, 31]) {
    const { code, text, told } = await write({ at, act: "abort" });
    group.same(`at token ${at}`, [code, text], ["aborted", told.map(({ text }) => text).join("")]);
    group.same(`at token ${at}: the text's beginning`, golden.text.startsWith(text), true);
    group.same(`at token ${at}: no more tokens`, told.length, at);
    await whole(`at token ${at}`);
  }
  group.rejects("a text that was stopped", (await write({ at: 7, act: "abort" })).text, golden.text);
}

async function losses({ page, report, model, golden, prompt }) {
  const group = report.group("vlm: losses in mid-text");
  const write = (act) => page.evaluate((a) => web.write("m", ...a), [prompt, LONG, act]);
  const places = [["terminate", { backend: "cpu", worker: true, threads: 1 }, "worker-lost"]];
  if (await page.evaluate(() => new URLSearchParams(location.search).get("backend") !== "cpu"))
    places.push(["lose", { backend: "webgpu" }, "device-lost"]);
  for (const [act, options, expected] of places) {
    await loadInto(page, model, options);
    for (const at of [1, 9]) {
      const { code, text, told } = await write({ at, act });
      group.same(`${act} at ${at}`, code, expected);
      group.same(`${act} at ${at}: the text so far`, text, told.map(({ text }) => text).join(""));
      group.same(`${act} at ${at}: the next text`, (await write()).tokens, golden.tokens);
    }
    group.rejects(`${act}: another code`, (await write({ at: 3, act })).code, "internal");
  }
}
