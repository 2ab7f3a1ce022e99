// Chats, which do not read their beginning again, and the Prompt API's shape over them.
import { picture } from "../lib/finders.mjs";

const SMOLVLM = "/fixtures/decoders/smolvlm/";
const IMAGE = picture("rgb-61x37.png");
const LOW = { maxTokens: 6, detail: "low" };

export async function vlmTalk(test) {
  await chats(test);
  await morePictures(test);
  await kept(test);
  await sessions(test);
}

async function chats({ page, report }) {
  const group = report.group("vlm: chats");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), SMOLVLM);
  const tell = (chat, turn, options, act) =>
    page.evaluate((a) => web.tell(...a), [chat, turn, { ...LOW, ...options }, act]);
  const write = (messages) => page.evaluate((a) => web.write("m", ...a), [{ messages }, LOW]);
  await page.evaluate((o) => web.chat("m", "c", o), { system: "Be brief." });
  const first = await tell("c", { image: IMAGE, prompt: "What is this?" });
  const second = await tell("c", "And now?");
  const said = [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "image", image: IMAGE },
        { type: "text", text: "What is this?" },
      ],
    },
    { role: "assistant", content: first.text.trim() },
    { role: "user", content: "And now?" },
  ];
  group.same("the first answer", first.tokens, (await write(said.slice(0, 2))).tokens);
  group.same("the second answer", second.tokens, (await write(said)).tokens);
  group.rejects("without what was said", (await write(said.slice(3))).tokens, second.tokens);
  const usage = await page.evaluate(() => web.usage("c"));
  group.same("usage", usage, [second.promptTokens + second.tokens.length, 256]);
  group.same("messages", await page.evaluate(() => web.said("c")).then((all) => all.map(([role]) => role)), [
    "system",
    "user",
    "assistant",
    "user",
    "assistant",
  ]);
  await page.evaluate(() => web.cloneChat("c", "d"));
  const [third, twin] = [await tell("c", "Why?"), await tell("d", "Why?")];
  group.same("a clone's answer", twin.tokens, third.tokens);
  const before = await page.evaluate(() => web.said("c"));
  const stopped = await tell("c", "Stop.", {}, { at: 2, act: "abort" });
  group.same("stopped", [stopped.code, stopped.text], ["aborted", stopped.told.map(({ text }) => text).join("")]);
  group.same("as it was", JSON.stringify(await page.evaluate(() => web.said("c"))), JSON.stringify(before));
  await page.evaluate(() => web.appendTo("d", "One more thing."));
  group.same("appended", (await page.evaluate(() => web.said("d"))).at(-1), ["user", "One more thing."]);
  await page.evaluate(() => web.destroyChat("d"));
  group.same("destroyed", (await tell("d", "There?")).code, "disposed");
  const ended = await tell("c", "Go on.", {}, { at: 2, act: "destroy" });
  group.same("destroyed while it answers", [ended.code, ended.told.length > 0], ["aborted", true]);
}

/** LLaVA-OneVision sees a picture in tiles, and once when there is another one: the next turn shows it anew. */
async function morePictures({ page, report }) {
  const group = report.group("vlm: more pictures in a chat");
  const options = { maxTokens: 4, detail: "high" };
  const load = () =>
    page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), "/fixtures/decoders/llava-onevision-shrunk/");
  await load();
  await page.evaluate(() => web.chat("m", "c"));
  const tell = (turn) => page.evaluate((a) => web.tell("c", ...a), [turn, options]);
  const other = picture("tall-23x97.png");
  const first = await tell({ image: IMAGE, prompt: "What is this?" });
  group.same("in tiles", first.imageTokens, 46);
  const second = await tell({ image: other, prompt: "And this?" });
  group.same("each once", second.imageTokens, 52);
  const asked = (image, text) => ({
    role: "user",
    content: [
      { type: "image", image },
      { type: "text", text },
    ],
  });
  const messages = [
    asked(IMAGE, "What is this?"),
    { role: "assistant", content: first.text.trim() },
    asked(other, "And this?"),
  ];
  const write = (said) => page.evaluate((a) => web.write("m", ...a), [{ messages: said }, options]);
  await load();
  group.same("the same answer", second.tokens, (await write(messages)).tokens);
  group.same("the first answer again", (await write(messages.slice(0, 1))).tokens, first.tokens);
  group.rejects("the other picture", (await write([asked(other, "What is this?")])).tokens, first.tokens);
}

/** The second prompt of a chat computes less: no tile goes to the GPU again, nor what was said. */
async function kept({ page, report, server }) {
  if (server.search.includes("cpu")) return;
  const group = report.group("vlm: a chat keeps its beginning");
  const load = () => page.evaluate((f) => web.loadVlm("m", f, { backend: "webgpu" }), SMOLVLM);
  const options = { maxTokens: 2, detail: "high" };
  await load();
  await page.evaluate(() => web.chat("m", "c"));
  const first = await page.evaluate(
    (a) => web.tellWatched("c", ...a),
    [{ image: IMAGE, prompt: "What is this?" }, options],
  );
  const second = await page.evaluate((a) => web.tellWatched("c", "And now?", ...a), [options]);
  await load();
  const messages = [
    {
      role: "user",
      content: [
        { type: "image", image: IMAGE },
        { type: "text", text: "What is this?" },
      ],
    },
    { role: "assistant", content: first.text.trim() },
    { role: "user", content: "And now?" },
  ];
  const fresh = await page.evaluate((a) => web.writtenWatched("m", ...a), [{ messages }, options]);
  group.same("the same answer", second.tokens, fresh.tokens);
  group.rejects("the first answer's", second.tokens, first.tokens);
  const tiles = 7 * 64 * 64 * 4;
  group.holds(
    "tiles are not written again",
    fresh.seen.written - second.seen.written >= tiles,
    `${fresh.seen.written}, ${second.seen.written}`,
  );
  group.holds(
    "nor run",
    fresh.seen.dispatches > 2 * second.seen.dispatches,
    `${fresh.seen.dispatches}, ${second.seen.dispatches}`,
  );
}

async function sessions({ page, report }) {
  const group = report.group("vlm: the Prompt API's shape");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu", context: 128 }), SMOLVLM);
  const initialPrompts = [{ role: "system", content: "Be brief." }];
  const [usage, window] = await page.evaluate((o) => web.session("m", "s", o), { initialPrompts });
  group.same("the window", window, 128);
  group.holds("the initial prompts count", usage > 5, usage);
  const ask = (given, options) => page.evaluate((a) => web.sessionPrompt("s", ...a), [given, options]);
  const adds = await page.evaluate(() => web.sessionMeasure("s", "What is this?"));
  group.holds("what a prompt adds", adds > 5 && adds < 40, adds);
  const stopped = await ask("What is this?", { abort: true });
  group.same("stopped", stopped.name, "AbortError");
  await page.evaluate(() => web.sessionClone("s", "t"));
  const answer = await ask("What is this?");
  const parts = await page.evaluate(() => web.sessionStream("t", "What is this?"));
  group.same("a clone's stream", parts.join(""), answer.text);
  group.rejects("a part is missing", parts.slice(1).join(""), answer.text);
  let last = answer;
  for (let turn = 0; turn < 6 && last.overflows === 0; turn++)
    last = await ask("What is this, and what else is there to be seen?");
  group.holds("it forgets its oldest words", last.overflows > 0 && last.text !== undefined, JSON.stringify(last));
  const much = await ask("What is this? ".repeat(60));
  group.same("what never fits", much.name, "QuotaExceededError");
  const available = (options) => page.evaluate((o) => web.availability(o), options);
  group.same("available", await available({}), "downloadable");
  group.same("not for sounds", await available({ expectedInputs: [{ type: "audio" }] }), "unavailable");
}
