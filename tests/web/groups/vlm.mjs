// Models that write: the reference's tokens, texts and prompts, on the GPU, on the CPU and in a worker; how texts come and end; and what is
// asked amiss.
import { readFileSync } from "node:fs";
import { picture } from "../lib/finders.mjs";
import { full } from "../lib/full.mjs";

export async function vlm(test) {
  await answers(test);
  await prompts(test);
  await endings(test);
  await refused(test);
}

const WHERE = { CPU: { backend: "cpu" }, GPU: { backend: "webgpu" }, worker: { backend: "cpu", worker: true } };
const MODELS = ["smolvlm", "paligemma", "llava", "llava-onevision", "llava-onevision-shrunk", "llama"];
/** Everything on the software adapter would take minutes. */
const IN_WORKER = ["smolvlm", "llava-onevision-shrunk", "llama"];
const ON_GPU = full ? IN_WORKER : ["smolvlm"];
const PLACES = { CPU: MODELS, GPU: ON_GPU, worker: IN_WORKER };

const folderOf = (model) => `/fixtures/decoders/${model}/`;
const goldenOf = ({ fixtures }, model) =>
  JSON.parse(readFileSync(`${fixtures.folder}/decoders/${model}/golden.json`, "utf8"));
/** As the reference decodes: special tokens, too. */
const LONG = { maxTokens: 32, specialTokens: true, detail: "high" };

/** On a page of its own where the folder has no preprocessor_config.json, as transformers 5 writes it: the browser says so on its console. */
async function onPageFor(model, test, check) {
  if (model !== "llava-onevision") return check(test);
  const page = await test.browser.newPage();
  await page.goto(test.server.page);
  await check({ ...test, page });
  await page.close();
}

async function answers(test) {
  for (const model of MODELS)
    for (const [where, options] of Object.entries(WHERE))
      if (PLACES[where].includes(model))
        await onPageFor(model, test, (there) => answersOf(there, model, where, options));
}

/** 32 greedy tokens and their text, by the raw text and by messages. */
async function answersOf(test, model, where, options) {
  const { page, report } = test;
  const group = report.group(`vlm: ${model}, ${where}`);
  const golden = goldenOf(test, model);
  const info = await page.evaluate((a) => web.loadVlm(...a), ["m", folderOf(model), options]);
  group.same("tasks", info.tasks, ["generate"]);
  group.same("context", info.context, 256);
  const write = (prompt, more) => page.evaluate((a) => web.write("m", ...a), [prompt, { ...LONG, ...more }]);
  const images = golden.images?.map(picture);
  const raw = { raw: golden.raw, ...(images && { images }) };
  const right = (name, found) => {
    group.same(`${name}: tokens`, found.tokens ?? found.message, golden.tokens);
    // Of a run of byte tokens with a bad one the reference makes U+FFFD of every byte, the sound ones too.
    if (model !== "llava") group.same(`${name}: text`, found.text, golden.text);
    group.same(`${name}: finish`, found.finish, golden.finish);
    group.same(
      `${name}: prompt`,
      [found.promptTokens, found.imageTokens],
      [golden.ids.length, golden.image_tokens ?? 0],
    );
    group.same(
      `${name}: told`,
      found.told.map(({ id }) => id),
      golden.tokens,
    );
    group.holds(`${name}: speed`, found.firstTokenMs > 0 && found.tokensPerSecond > 0, JSON.stringify(found));
  };
  right("raw", await write(raw));
  // What is kept of the last prompt must not change the next one.
  right("raw, again", await write(raw));
  if (golden.messages) right("messages", await write({ messages: golden.messages, images }));
  if (!images) right("a prompt", await write(golden.raw));
  const other = images ? { ...raw, images: images.map(() => picture("tall-23x97.png")) } : { raw: `${golden.raw}!` };
  group.rejects("another prompt", (await write(other)).tokens, golden.tokens);
  right("the first one after another", await write(raw));
  // Other pictures, several, and one that is seen once: how many tokens they are, and what comes first after them.
  for (const { images, low, ids, image_tokens: count, next } of golden.others ?? []) {
    const prompt = golden.raw.replace("<image>", "<image>".repeat(images.length));
    const asked = { raw: prompt, images: images.map(picture) };
    const name = `${images.join()}, ${low ? "low" : "high"}`;
    const found = await write(asked, { maxTokens: 1, detail: low ? "low" : "high" });
    group.same(`${name}: prompt`, [found.promptTokens, found.imageTokens], [ids.length, count]);
    // One that ends the text is none of its own.
    const first = [golden.stop].flat().includes(next) ? [] : [next];
    if (next !== undefined) group.same(`${name}: the first token`, found.tokens, first);
  }
  // What else may be asked is the same everywhere.
  if (images && (full || where === "CPU")) {
    const question = golden.messages?.[0].content[1].text;
    const asked = question ?? "how many dogs are in the snow?";
    right("ask", await page.evaluate((a) => web.askAbout("m", ...a), [images[0], asked, LONG]));
    right("a question as a prompt", await write({ image: images[0], question: asked }));
    const caption = await page.evaluate((a) => web.caption("m", ...a), [images[0], LONG]);
    group.holds("a caption", caption.tokens?.length === 32 || caption.finish === "stop", JSON.stringify(caption));
    group.rejects("a caption as an answer", caption.tokens ?? [], golden.tokens);
    group.same("a caption as a prompt", (await write({ image: images[0], caption: true })).tokens, caption.tokens);
    const openai = [
      {
        role: "user",
        content: [
          { type: "image_url", image_url: { url: images[0].url } },
          { type: "text", text: question },
        ],
      },
    ];
    const chrome = [
      {
        role: "user",
        content: [
          { type: "image", value: images[0] },
          { type: "text", value: question },
        ],
      },
    ];
    if (question)
      for (const messages of [openai, chrome]) right(JSON.stringify(messages[0].content[0]), await write({ messages }));
    if (question) right("image and prompt", await write({ image: images[0], prompt: question }));
  }
}

/** How many tokens prompts have, for messages and pictures of every size; special tokens in them are words. */
async function prompts(test) {
  const { page, report, fixtures } = test;
  const all = JSON.parse(readFileSync(`${fixtures.folder}/decoders/prompts.json`, "utf8"));
  for (const model of ["smolvlm", "llava", "llava-onevision", "paligemma"])
    await onPageFor(model, test, async ({ page }) => {
      const group = report.group(`vlm: prompts of ${model}`);
      await page.evaluate((a) => web.loadVlm(...a), ["m", folderOf(model), { backend: "cpu" }]);
      const count = (prompt, detail = "high") => page.evaluate((a) => web.countTokens("m", ...a), [prompt, { detail }]);
      for (const { messages, raw, pictures, ids, do_image_splitting: tiles = true } of all[model]) {
        const prompt = { ...(messages ? { messages } : { raw }), images: pictures };
        group.same(
          JSON.stringify([messages ?? raw, pictures]),
          await count(prompt, tiles ? "high" : "low"),
          ids.length,
        );
      }
      const spelled = { prompt: "<image>", images: [[61, 37]] };
      group.rejects(
        "a special token spelled out",
        await count(spelled),
        await count({ prompt: "", images: [[61, 37]] }),
      );
    });
  const group = report.group("vlm: detail");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("smolvlm"));
  const count = (detail) =>
    page.evaluate((d) => web.countTokens("m", { prompt: "x", images: [[61, 37]] }, { detail: d }), detail);
  const [low, auto, high] = [await count("low"), await count("auto"), await count("high")];
  group.same("auto on the CPU", auto, low);
  group.rejects("high", high, low);
  group.holds("six tiles more", high - low >= 24, `${low}, ${high}`);
}

/** Streams, stop strings, seeds, lengths. */
async function endings(test) {
  const { page, report } = test;
  const group = report.group("vlm: how texts come and end");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("llama"));
  const { raw } = goldenOf(test, "llama");
  const write = (options) => page.evaluate((a) => web.write("m", ...a), [{ raw }, { maxTokens: 48, ...options }]);
  const stream = (options, how) =>
    page.evaluate((a) => web.streamed("m", ...a), [{ raw }, { maxTokens: 48, ...options }, how]);
  const whole = await write();
  for (const by of ["for await", "a reader"]) {
    const { parts, value } = await stream({}, { by });
    group.same(`${by}: the parts`, parts.join(""), whole.text);
    group.same(`${by}: at the end`, value.text, whole.text);
    group.holds(`${by}: in parts`, parts.length > 10 && parts.every((part) => part !== ""), parts.length);
    group.rejects(`${by}: a part is missing`, parts.slice(1).join(""), whole.text);
  }
  const left = await stream({}, { leave: 3 });
  group.same("left: code", left.code, "aborted");
  group.same("left: the text so far", left.text.startsWith(left.parts.join("")), true);
  // Each stop string of every length, at many places: it is found however tokens cut it.
  for (let at = 1; at < Math.min(24, whole.text.length - 6); at += 3) {
    const stop = whole.text.slice(at, at + 1 + (at % 5));
    const expected = whole.text.slice(0, whole.text.indexOf(stop));
    const { text, finish } = await write({ stop: ["not there", stop] });
    group.same(`until ${JSON.stringify(stop)}`, [text, finish], [expected, "stop"]);
    const { parts } = await stream({ stop: [stop] });
    group.same(`a stream until ${JSON.stringify(stop)}`, parts.join(""), expected);
  }
  group.same("a stop string that is not there", (await write({ stop: ["not there"] })).text, whole.text);
  group.same("one token", (await write({ maxTokens: 1 })).tokens, whole.tokens.slice(0, 1));
  const one = await write({ maxTokens: 1 });
  group.holds("one token's speed", one.tokensPerSecond === null, one.tokensPerSecond);
  const filled = await page.evaluate((r) => web.write("m", { raw: r }, { maxTokens: Infinity }), raw.repeat(6));
  group.same(
    "until there is no room",
    [filled.finish, filled.promptTokens + filled.tokens.length >= 256],
    ["context", true],
  );
  const draw = (seed, more) => write({ temperature: 1, seed, ...more });
  const first = await draw(1);
  group.same("a seed repeats", (await draw(1)).tokens, first.tokens);
  group.same("one of one is the likeliest", (await draw(1, { topK: 1 })).tokens, whole.tokens);
  group.same("next to nothing is the likeliest", (await draw(1, { topP: 1e-6 })).tokens, whole.tokens);
  group.rejects("another seed", (await draw(2)).tokens, first.tokens);
  group.rejects("no temperature", whole.tokens, first.tokens);
  group.rejects("a penalty", (await write({ repetitionPenalty: 2 })).tokens, whole.tokens);
  const three = await page.evaluate(
    (r) => web.writtenAtOnce("m", [{ raw: r }, "another one", { raw: r }], { maxTokens: 48 }),
    raw,
  );
  group.same("three at once", [three[0].text, three[2].text], [whole.text, whole.text]);
  group.rejects("another at the same time", three[1].text, whole.text);
  await page.evaluate((f) => web.loadVlm("w", f, { backend: "cpu", worker: true }), folderOf("llama"));
  const there = await page.evaluate((a) => web.write("w", ...a), [{ raw }, { maxTokens: 48, temperature: 1, seed: 1 }]);
  group.same("a seed, in a worker", there.tokens, first.tokens);
}

/** What cannot be: its code, and a word that says why. */
async function refused(test) {
  const { page, report, server } = test;
  const group = report.group("vlm: what cannot be");
  const is = (name, { code, message = "" } = {}, expected, ...words) => {
    group.same(name, code ?? "no error", expected);
    group.rejects(`${name}: another code`, code ?? "no error", "internal");
    for (const word of words) group.holds(`${name}: says ${word}`, message.includes(word), message);
  };
  const attempt = (name, ...args) => page.evaluate((a) => web.attempt(() => web[a[0]](...a.slice(1))), [name, ...args]);
  is(
    "a model that does not write",
    await attempt("loadVlm", "x", "/fixtures/clip/", { backend: "cpu" }),
    "wrong-model",
    "classify",
  );
  // On a page of its own: the engine looks for open_clip's config before it refuses, and the browser writes that there is none.
  const other = await test.browser.newPage();
  await other.goto(server.page);
  for (const model of ["smolvlm", "llama"]) {
    const load = (f) => web.attempt(() => web.load("x", f, { backend: "cpu" }));
    is(`${model} in Ocelli.load`, await other.evaluate(load, folderOf(model)), "wrong-model", "Vlm.load");
  }
  await other.close();
  for (const context of [1, 2.5, "9"])
    is(`context ${context}`, await attempt("loadVlm", "x", folderOf("llama"), { context }), "bad-input", "context");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu", context: 40 }), folderOf("smolvlm"));
  const golden = goldenOf(test, "smolvlm");
  const images = golden.images.map(picture);
  const asked = { messages: golden.messages, images };
  const { length } = golden.ids;
  is(
    "a prompt that is too long",
    await page.evaluate((a) => web.write("m", ...a), [asked, LONG]),
    "context-full",
    "39",
    `${length}`,
  );
  group.same(
    "counted all the same",
    await page.evaluate((a) => web.countTokens("m", a, { detail: "high" }), asked),
    length,
  );
  if (!server.search.includes("cpu")) {
    await page.evaluate((f) => web.loadVlm("gpu", f, { backend: "webgpu", context: 40 }), folderOf("smolvlm"));
    const stopped = await page.evaluate((a) => web.writtenWatched("gpu", ...a), [asked, LONG]);
    is("on the GPU", stopped, "context-full", "39");
    group.same("nothing ran", stopped.seen.dispatches, 0);
    await page.evaluate(() => web.disposeVlm("gpu"));
  }
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("smolvlm"));
  const write = (prompt, options = { maxTokens: 4 }) => page.evaluate((a) => web.write("m", ...a), [prompt, options]);
  for (const [options, word] of [
    [{ maxTokens: 0 }, "maxTokens"],
    [{ maxTokens: 2.5 }, "maxTokens"],
    [{ temperature: -1 }, "temperature"],
    [{ temperature: "1" }, "temperature"],
    [{ topK: 0 }, "topK"],
    [{ topP: 0 }, "topP"],
    [{ topP: 1.5 }, "topP"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty"],
    [{ seed: -1 }, "seed"],
    [{ seed: 0.5 }, "seed"],
    [{ stop: "x" }, "stop"],
    [{ stop: [""] }, "stop"],
    [{ detail: "medium" }, "detail"],
    [{ specialTokens: 1 }, "specialTokens"],
  ])
    is(JSON.stringify(options), await write("x", options), "bad-input", word);
  const user = (content) => ({ messages: [{ role: "user", content }] });
  for (const [prompt, word] of [
    [null, "prompt"],
    [7, "prompt"],
    [{}, "prompt"],
    [{ prompt: 7 }, "prompt"],
    [{ raw: ["x"] }, "raw"],
    [{ question: 7, image: images[0] }, "question"],
    [{ question: "x" }, "image"],
    [{ caption: "en", image: images[0] }, "caption"],
    [{ raw: "<image>" }, "<image>"],
    [{ raw: "x", images }, "<image>"],
    [{ prompt: "x", image: images[0], images }, "both"],
    [{ messages: "x" }, "messages"],
    [{ messages: [] }, "none"],
    [{ messages: [{ role: "assistant", content: "x" }] }, "assistant"],
    [{ messages: [{ role: "tool", content: "x" }] }, "role"],
    [
      {
        messages: [
          { role: "user", content: "x" },
          { role: "assistant", content: "x", prefix: true },
        ],
      },
      "prefix",
    ],
    [user(7), "content"],
    [user([{ type: "audio" }]), "type"],
    [user([{ type: "text" }]), "text"],
    [user([{ type: "image" }]), "image"],
    [user([{ type: "image_url" }]), "image_url"],
    [{ ...user("x"), images }, "images"],
  ])
    is(`prompt ${JSON.stringify(prompt)}`, await write(prompt), "bad-input", word);
  is("a broken picture", await write({ prompt: "x", image: { url: images[0].url, form: "broken Blob" } }), "bad-image");
  is("no picture", await write({ prompt: "x", image: { url: images[0].url, form: "a string" } }), "bad-input", "image");
  await page.evaluate((f) => web.loadVlm("p", f, { backend: "cpu" }), folderOf("paligemma"));
  const two = [
    { role: "user", content: "x" },
    { role: "assistant", content: "y" },
    { role: "user", content: "z" },
  ];
  is(
    "a conversation with PaliGemma",
    await page.evaluate((m) => web.write("p", { messages: m }), two),
    "bad-input",
    "conversation",
  );
  await page.evaluate((f) => web.loadVlm("l", f, { backend: "cpu" }), folderOf("llama"));
  is(
    "a picture for Llama",
    await page.evaluate((i) => web.write("l", { prompt: "x", images: i }), images),
    "wrong-model",
    "words alone",
  );
  const thrown = await page.evaluate(() =>
    web.attempt(() => web.write("l", "x", { maxTokens: 4 }, { at: 2, act: "nothing" })),
  );
  is("what onToken throws", thrown.value, "bad-input", "onToken");
  group.same("the next call works", (await write(asked, LONG)).tokens, golden.tokens);
}
