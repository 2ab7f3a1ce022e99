// Texts that keep to a pattern: the browser's own RegExp says so, on every device; what is off must show; and what is no pattern.
import { readFileSync } from "node:fs";
import { picture } from "../lib/finders.mjs";

const WHERE = { CPU: { backend: "cpu" }, GPU: { backend: "webgpu" }, worker: { backend: "cpu", worker: true } };
const MODELS = ["smolvlm", "llama", "paligemma", "llava"];
/** Random patterns for each model on the CPU, and for the others. */
const [MANY, FEW] = [24, 6];

const folderOf = (model) => `/fixtures/decoders/${model}/`;

export async function vlmPatterns(test) {
  const { page, report, fixtures } = test;
  const golden = (model) => JSON.parse(readFileSync(`${fixtures.folder}/decoders/${model}/golden.json`, "utf8"));
  for (const model of MODELS)
    for (const [where, options] of Object.entries(WHERE)) {
      if (where !== "CPU" && model !== "smolvlm") continue;
      const group = report.group(`vlm: patterns with ${model}, ${where}`);
      const { messages, raw, images, tokens: free } = golden(model);
      await page.evaluate((a) => web.loadVlm(...a), ["m", folderOf(model), options]);
      const shown = images && { images: images.map(picture) };
      const asked = messages ? { messages, ...shown } : { raw, ...shown };
      const write = (more) =>
        page.evaluate((a) => web.write("m", ...a), [asked, { maxTokens: 120, detail: "low", ...more }]);
      const random = generator(model.length + 7);
      const patterns = [...FIXED, ...Array.from({ length: where === "CPU" ? MANY : FEW }, () => made(random, 3))];
      let ended = 0;
      for (const [at, source] of patterns.entries()) {
        const how = at % 2 ? { temperature: 1.2, topK: 40, topP: 0.95, seed: at } : {};
        const { text, finish, message } = await write({ pattern: { source, flags: at % 3 ? "" : "u" }, ...how });
        const whole = new RegExp(`^(?:${source})$`, "u");
        if (finish === "length") continue;
        ended += 1;
        group.same(
          `${source}: ${JSON.stringify(text)} ${message ?? ""}`,
          [text !== undefined && whole.test(text), finish],
          [true, "stop"],
        );
        const off = await write({ ...how, maxTokens: 30 });
        group.rejects(`${source}: without the constraint`, whole.test(off.text), true);
      }
      group.holds("most ended", ended > patterns.length / 2, `${ended} of ${patterns.length}`);
      const after = await write({ maxTokens: 32, specialTokens: true, detail: "high" });
      group.same("a free text after them", after.tokens, free);
    }
  await ways(test);
  await garbage(test);
  await schemas(test);
}

/** With several bytes a character, special tokens spelled out, and one text alone. */
const FIXED = [
  "yes|no|a dog(?: in the snow)?",
  String.raw`\{"what": "(?:dog|cat)", "count": \d{1,3}\}`,
  "[猫犬é🐱]{2,5}",
  "<end_of_utterance>|<\\|im_end\\|>|</s>|<eos>",
  String.raw`(?<year>\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])`,
  "^exactly this$",
  String.raw`.{3}\n\S+\s`,
  String.raw`\p{Lu}\p{Ll}{0,5}\.`,
];

/** How texts come and end, and what is refused. */
async function ways({ page, report }) {
  const group = report.group("vlm: how patterns are kept");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("llama"));
  const write = (options, act) => page.evaluate((a) => web.write("m", ...a), ["Two dogs?", options, act]);
  const pattern = String.raw`(?:[a-z]{1,4} ){6}🐱猫é!`;
  const whole = await write({ pattern });
  group.same("its text", [new RegExp(`^(?:${pattern})$`, "u").test(whole.text), whole.finish], [true, "stop"]);
  const { parts, value } = await page.evaluate((a) => web.streamed("m", "Two dogs?", a), { pattern });
  group.same("a stream", parts.join(""), whole.text);
  group.holds("in whole characters", parts.length > 5 && parts.every((part) => part.isWellFormed()), parts.length);
  group.same("at the end", value.text, whole.text);
  const told = whole.told.map(({ text }) => text).join("");
  group.same("told", told, whole.text);
  for (let count = 1; count < whole.tokens.length; count += 3) {
    const cut = await write({ pattern, maxTokens: count });
    group.same(`after ${count} tokens`, [cut.finish, ...cut.tokens], ["length", ...whole.tokens.slice(0, count)]);
    group.holds(`after ${count} tokens: a beginning`, whole.text.startsWith(cut.text), cut.text);
  }
  group.same("as many as it needs", (await write({ pattern, maxTokens: whole.tokens.length })).finish, "stop");
  const stop = whole.text.slice(5, 8);
  const stopped = await write({ pattern, stop: [stop] });
  group.same("a stop string", [stopped.text, stopped.finish], [whole.text.slice(0, whole.text.indexOf(stop)), "stop"]);
  const draw = (seed) => write({ pattern, temperature: 1, seed });
  group.same("a seed repeats", (await draw(1)).text, (await draw(1)).text);
  group.rejects("another seed", (await draw(2)).text, (await draw(1)).text);
  const aborted = await write({ pattern }, { at: 3, act: "abort" });
  group.same("stopped", [aborted.code, whole.text.startsWith(aborted.text)], ["aborted", true]);
  group.same("after a signal", (await write({ pattern })).tokens, whole.tokens);
  group.same("nothing at all", (await write({ pattern: "" })).text, "");
  await page.evaluate((f) => web.loadVlm("t", f, { backend: "cpu" }), folderOf("smolvlm"));
  await page.evaluate(() => web.chat("t", "c", { pattern: "(?:yes|no)[.!]" }));
  for (const question of ["What is it?", "And that?"]) {
    const { text } = await page.evaluate((q) => web.tell("c", q), question);
    group.holds("in a chat", /^(?:yes|no)[.!]$/.test(text ?? ""), text);
  }
  for (const [options, word] of [
    [{ pattern: { source: "a", flags: "i" } }, "flags"],
    [{ pattern: { source: "a", flags: "su" } }, "flags"],
    [{ pattern: 7 }, "pattern"],
    [{ pattern: ["a"] }, "pattern"],
    [{ pattern: "(?=a)b" }, "look-around"],
    [{ pattern: "\\bdog" }, "look-around"],
    [{ pattern: { source: "(a)\\1", flags: "u" } }, "reference"],
    [{ pattern: "(a" }, "unclosed"],
    [{ pattern: "a^" }, "beginning"],
    [{ pattern: "[^\\s\\S]" }, "none"],
    [{ pattern: "a{99999999}" }, "repeat less"],
    [{ pattern: "a", choices: ["a"] }, "both"],
  ]) {
    const { code, message = "" } = await write(options);
    group.same(`${JSON.stringify(options)}: code`, code ?? "no error", "bad-input");
    group.holds(`${JSON.stringify(options)}: says ${word}`, message.includes(word), message);
  }
}

/** What random patterns are made of. */
const LETTERS = [
  ..."ab1 ^$.*+?()[]{}|-=!<>:,dwsDWSbux0&~pLé🐱#/",
  "\\",
  "\\",
  "[^",
  "(?",
  "{2",
  ",3}",
  "\\u00",
  "--",
  "&&",
];

/** Whatever is taken for a pattern means what the browser takes it to mean. */
async function garbage({ page, report }) {
  const group = report.group("vlm: random letters as patterns");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("llama"));
  const random = generator(11);
  const all = Array.from({ length: 1500 }, () =>
    Array.from({ length: 1 + random(9) }, () => LETTERS[random(LETTERS.length)]).join(""),
  );
  const found = await page.evaluate(async (all) => {
    const found = [];
    for (const [seed, pattern] of all.entries())
      found.push(await web.write("m", "Two dogs?", { pattern, maxTokens: 16, temperature: 2, seed }));
    return found;
  }, all);
  const count = { refused: 0, whole: 0, cut: 0 };
  for (const [at, { text, finish, code }] of found.entries()) {
    if (code !== undefined) group.same(`${all[at]}: code`, code, "bad-input");
    count[code !== undefined ? "refused" : finish === "stop" ? "whole" : "cut"] += 1;
    if (finish !== "stop") continue;
    // Escapes that are not needed are no error without the flag.
    const expression = compiled(all[at], "u") ?? compiled(all[at], "");
    group.same(`${all[at]}: ${JSON.stringify(text)}`, expression?.test(text) ?? false, true);
    group.rejects(`${all[at]}: another text`, expression?.test(`${text}~\n~`) ?? false, true);
  }
  group.holds("some of each", Math.min(count.refused, count.whole) > 200, JSON.stringify(count));
}

function compiled(source, flags) {
  try {
    return new RegExp(`^(?:${source})$`, flags);
  } catch {
    return undefined;
  }
}

/** The Prompt API's `responseConstraint`: regular expressions, and JSON schemas of the simple kind. */
async function schemas({ page, report }) {
  const group = report.group("vlm: responseConstraint");
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("smolvlm"));
  const ask = async (responseConstraint) => {
    // There is room for a few answers in each.
    await page.evaluate(() => web.session("m", "s", {}));
    return page.evaluate((c) => web.sessionPrompt("s", "What is this?", { responseConstraint: c }), responseConstraint);
  };
  const { text: word } = await ask({ source: "[a-z]{3,6}", flags: "u" });
  group.same("a regular expression", /^[a-z]{3,6}$/.test(word), true);
  group.rejects("without", /^[a-z]{3,6}$/.test((await ask()).text), true);
  const short = { type: "string", minLength: 1, maxLength: 4 };
  for (const [schema, sound] of [
    [{ type: "boolean" }, (value) => typeof value === "boolean"],
    [{ enum: ["a dog", 7, null, { a: [1] }] }, (value) => ["a dog", 7, null].includes(value) || value.a[0] === 1],
    [{ const: 'c:\\[x] "y"' }, (value) => value === 'c:\\[x] "y"'],
    [short, (value) => typeof value === "string" && [...value].length >= 1 && [...value].length <= 4],
    [
      { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 3 },
      (value) => value.length === 2 || value.length === 3,
    ],
    [{ type: "array", items: { type: "null" }, maxItems: 0 }, (value) => value.length === 0],
    [{ anyOf: [{ type: "null" }, { type: "boolean" }] }, (value) => value === null || typeof value === "boolean"],
    [
      {
        title: "A thing",
        type: "object",
        properties: { what: { enum: ["dog", "cat"] }, name: short, good: { type: ["boolean", "null"] } },
        required: ["what", "good"],
        additionalProperties: false,
      },
      (value) =>
        Object.keys(value).join() === "what,name,good" &&
        ["dog", "cat"].includes(value.what) &&
        [true, false, null].includes(value.good),
    ],
  ]) {
    const { text, message } = await ask(schema);
    group.same(`${JSON.stringify(schema)}: ${text} ${message ?? ""}`, reads(text, sound), true);
    group.rejects("another value", reads('"no such value"', sound), true);
  }
  for (const [schema, word] of [
    [{ type: "string", format: "date" }, "format"],
    [{ type: "integer", minimum: 3 }, "minimum"],
    [{ $ref: "#/x" }, "type"],
    [{ type: "object", properties: { a: { oneOf: [] } } }, "schema.a"],
    [{ type: "object", required: ["b"] }, "b"],
    [{ enum: [] }, "enum"],
    [{ type: "array", items: true }, "items"],
    [[], "object"],
  ]) {
    const { name, message = "" } = await ask(schema);
    group.same(`${JSON.stringify(schema)}: name`, name ?? "no error", "NotSupportedError");
    group.holds(
      `${JSON.stringify(schema)}: says ${word}`,
      message.includes("unsupported-schema") && message.includes(word),
      message,
    );
  }
}

function reads(text, sound) {
  try {
    return sound(JSON.parse(text)) === true;
  } catch {
    return false;
  }
}

/** Numbers below `n`, the same each time: mulberry32. */
function generator(seed) {
  return (n) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) % n;
  };
}

/** A random pattern. */
function made(random, depth) {
  const of = (list) => list[random(list.length)];
  const one = () => made(random, depth - 1);
  switch (random(depth === 0 ? 4 : 8)) {
    case 0:
      return of(["a", "dog", "1", "é", "猫", "🐱", " ", "snow"]);
    case 1:
      return `\\${of([".", "*", "(", "[", "{", "\\", "|", "^", "$", "?", "+", "/"])}`;
    case 2:
      return of([".", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\u{1f431}", "\\u00e9", "\\t", "\\x41"]);
    case 3:
      return of(["[a-f]", "[^a-f]", "[xyz🐱]", "[\\]\\-à-ü]", "[^\\d\\s]", "[\\w.]", "\\p{L}", "\\P{L}"]);
    case 4:
    case 5:
      return one() + one() + one();
    case 6:
      return `(?:${one()}|${one()})`;
    default:
      return `(${one()})${of(["?", "*", "+", "{2}", "{1,3}", "{0,2}?", "{2,}"])}`;
  }
}
