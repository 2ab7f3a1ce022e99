// One of several answers: the reference's probabilities on every device, in chats and streams, stopped, and what cannot be.
import { readFileSync } from "node:fs";
import { picture } from "../lib/finders.mjs";
import { full } from "../lib/full.mjs";

const WHERE = { CPU: { backend: "cpu" }, GPU: { backend: "webgpu" }, worker: { backend: "cpu", worker: true } };
const MODELS = ["smolvlm", "llama", "paligemma"];
/** Pictures take the software adapter minutes. */
const PLACES = { CPU: MODELS, GPU: full ? ["smolvlm", "llama"] : ["llama"], worker: ["smolvlm"] };
/** Of a logarithm of a whole answer's probability. */
const OFF = 1e-4;

const folderOf = (model) => `/fixtures/decoders/${model}/`;

export async function vlmChoices(test) {
  const { page, report, fixtures } = test;
  const read = (name) => JSON.parse(readFileSync(`${fixtures.folder}/decoders/${name}.json`, "utf8"));
  const all = read("choices");
  for (const model of MODELS)
    for (const [where, options] of Object.entries(WHERE)) {
      if (!PLACES[where].includes(model)) continue;
      const group = report.group(`vlm: choices of ${model}, ${where}`);
      const [golden, { choices, tokens, log_probabilities: logs, probabilities, best }] = [
        read(`${model}/golden`),
        all[model],
      ];
      await page.evaluate((a) => web.loadVlm(...a), ["m", folderOf(model), options]);
      const images = golden.images?.map(picture);
      const asked = golden.messages
        ? { messages: golden.messages, images }
        : { raw: golden.raw, ...(images && { images }) };
      const write = (prompt, more) =>
        page.evaluate((a) => web.write("m", ...a), [prompt, { choices, detail: "high", ...more }]);
      const alike = (name, found, expected) => group.same(name, JSON.stringify(found), JSON.stringify(expected));
      const right = (name, found) => {
        if (!found.choices) return group.same(name, found.message ?? "nothing", "choices");
        group.same(
          `${name}: choices`,
          found.choices.map(({ text }) => text),
          choices,
        );
        const off = (key, expected) =>
          Math.max(...found.choices.map((choice, at) => Math.abs(choice[key] - expected[at])));
        group.holds(`${name}: logarithms`, off("logProbability", logs) < OFF, off("logProbability", logs));
        group.holds(
          `${name}: probabilities`,
          off("probability", probabilities) < OFF,
          off("probability", probabilities),
        );
        alike(`${name}: the answer`, [found.text, found.tokens, found.finish], [choices[best], tokens[best], "stop"]);
        group.same(`${name}: counts`, [found.promptTokens, found.tokensPerSecond], [golden.ids.length, null]);
      };
      right("first", await write(asked));
      right("again", await write(asked));
      const other = await write(
        images ? { ...asked, images: images.map(() => picture("tall-23x97.png")) } : "Is it another one?",
      );
      const far = Math.max(...other.choices.map((choice, at) => Math.abs(choice.logProbability - logs[at])));
      group.rejects("another prompt", far < 100 * OFF, true);
      right("after another", await write(asked));
      const free = await write(asked, { choices: undefined, maxTokens: 32, specialTokens: true });
      group.same("a free text after it", free.tokens, golden.tokens);
      group.holds("and has no choices", free.choices === undefined, free.choices);
    }
  await ways(test, all.smolvlm, read("smolvlm/golden"));
}

/** Streams, chats, draws, signals; what is refused. */
async function ways({ page, report }, { choices, best }, { messages, images }) {
  const group = report.group("vlm: how answers are chosen");
  const alike = (name, found, expected) => group.same(name, JSON.stringify(found), JSON.stringify(expected));
  await page.evaluate((f) => web.loadVlm("m", f, { backend: "cpu" }), folderOf("smolvlm"));
  const asked = { messages, images: images.map(picture) };
  const options = { choices, detail: "high" };
  const write = (more, act) => page.evaluate((a) => web.write("m", ...a), [asked, { ...options, ...more }, act]);
  const { parts, value } = await page.evaluate((a) => web.streamed("m", ...a), [asked, options]);
  alike("a stream", [parts, value.text, value.choices.length], [[choices[best]], choices[best], choices.length]);
  const plain = await write();
  group.rejects("a free text", (await write({ choices: undefined, maxTokens: 4 })).text, plain.text);
  group.same(
    "what does not matter",
    (await write({ maxTokens: 1, stop: ["n"], repetitionPenalty: 3 })).text,
    plain.text,
  );
  const drawn = new Set();
  for (let seed = 0; seed < 8; seed++) {
    const found = await write({ temperature: 40, seed });
    drawn.add(found.text);
    if (seed === 0) alike("a draw's probabilities", found.choices, plain.choices);
  }
  group.holds("draws differ", drawn.size > 1, [...drawn].join());
  group.same("a draw of one", (await write({ temperature: 40, topK: 1, seed: 3 })).text, plain.text);
  await page.evaluate(() => web.chat("m", "c", { detail: "high" }));
  const question = { image: picture(images[0]), prompt: messages[0].content[1].text };
  const told = await page.evaluate((a) => web.tell("c", ...a), [question, { choices }]);
  alike("in a chat", [told.text, told.choices], [plain.text, plain.choices]);
  group.same("it stays said", (await page.evaluate(() => web.said("c"))).at(-1), ["assistant", plain.text]);
  // A signal ends it after each of its first steps, and the next call is right.
  for (const turns of [0, 1, 3, 8, 20]) {
    const stopped = await page.evaluate((a) => web.writtenUntil("m", ...a), [asked, turns, options]);
    group.same(`stopped after ${turns}`, stopped.code ?? "no error", "aborted");
  }
  alike("after signals", (await write()).choices, plain.choices);
  for (const [wrong, word] of [
    ["yes", "choices"],
    [[], "at least one"],
    [["yes", ""], "choices[1]"],
    [["yes", 7], "choices"],
    [["yes", "no", "yes"], "choices[2]"],
    [{ 0: "yes" }, "choices"],
  ]) {
    const { code, message = "" } = await write({ choices: wrong });
    group.same(`${JSON.stringify(wrong)}: code`, code, "bad-input");
    group.holds(`${JSON.stringify(wrong)}: says ${word}`, message.includes(word), message);
  }
  const long = await write({ choices: ["yes ".repeat(300)] });
  group.same("an answer for which there is no room", long.code, "context-full");
  await page.evaluate((f) => web.loadVlm("t", f, { backend: "cpu" }), folderOf("llama"));
  const joined = await page.evaluate((o) => web.write("t", { raw: "It is a: " }, o), { choices: ["dog"] });
  group.same("one that joins the prompt's last word", joined.code, "bad-input");
  group.holds("says so", joined.message?.includes("last word"), joined.message);
}
