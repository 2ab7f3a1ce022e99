// Labels' embeddings from visit to visit: the second one needs no text tower.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { full } from "../lib/full.mjs";

const NAMES = ["a cat", "two dogs", "a red car"];
const TEMPLATES = { templates: ["a photo of {}", "{}"] };
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function labelCache(test) {
  await hashes(test);
  // What a visit costs is counted on the GPU; the rest is the same on both engines, and the CPU starts at once.
  for (const model of full ? ["siglip", "clip"] : ["clip"]) await visits({ ...test, model });
  await trouble({ ...test, server: test.cpuServer });
  await cleared({ ...test, server: test.cpuServer });
}

/** What the cache goes by. */
async function hashes({ page, report, fixtures, native, site }) {
  const group = report.group("a model's hash");
  const hash = async (folder, options) =>
    (await page.evaluate(([f, o]) => web.load("hash", f, { backend: "cpu", ...o }), [folder, options])).info.modelHash;
  const changed = (name, file, change) => {
    cpSync(fixtures.model("siglip"), site.path(name), { recursive: true });
    writeFileSync(join(site.path(name), file), change(readFileSync(join(site.path(name), file))));
    return site.url(`${name}/`);
  };
  const whole = await hash("/fixtures/siglip/");
  group.same("64 letters", whole.replace(/[0-9a-f]{64}/, ""), "");
  for (const options of [{ towers: "vision" }, { towers: "text" }, { format: "q8" }, { backend: "webgpu" }])
    group.same(JSON.stringify(options), await hash("/fixtures/siglip/", options), whole);
  group.rejects("another model", await hash("/fixtures/clip/"), whole);
  group.rejects(
    "another preprocessing",
    await hash(changed("hash-pre", "preprocessor_config.json", (bytes) => `${bytes} `)),
    whole,
  );
  const scale = (bytes) => {
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    const {
      logit_scale: {
        data_offsets: [at],
      },
    } = JSON.parse(bytes.subarray(8, start));
    bytes.writeFloatLE(bytes.readFloatLE(start + at) + 0.01, start + at);
    return bytes;
  };
  group.rejects("another logit scale", await hash(changed("hash-scale", "model.safetensors", scale)), whole);
  if (!native.exists) return report.skip("a model's hash with a manifest", native.missing);
  native.quantize(fixtures.model("siglip"), site.path("hash-q8"), "q8");
  const listed = await hash(site.url("hash-q8/"));
  group.rejects("quantised", listed, whole);
  group.same("quantised: one tower", await hash(site.url("hash-q8/"), { towers: "vision" }), listed);
}

async function visits({ browser, server, report, model }) {
  const page = await browser.newPage();
  await page.goto(server.page);
  // In Firefox all pages share a profile: other groups have asked for the same labels.
  await page.evaluate(() => caches.delete("ocelli-labels"));
  const group = report.group(`${model}: labels on the second visit`);
  const load = (options = {}) => page.evaluate(([m, o]) => web.load(m, `/fixtures/${m}/`, o), [model, options]);
  /** Dispatches of labels(), and what they say of a picture. */
  const ask = async (names, options = TEMPLATES) => {
    const { code, message, seen } = await page.evaluate(
      ([m, n, o]) => web.watched("labels", "set", m, n, o),
      [model, names, options],
    );
    const answer =
      code ??
      JSON.stringify((await page.evaluate((p) => web.classifyBySet("set", [p], { multiLabel: true }), PICTURE))[0]);
    return { work: String(seen.dispatches), answer, message };
  };
  await load();
  const entries = () => page.evaluate(() => web.labelEntries());
  const before = await entries();
  const first = await ask(NAMES);
  group.rejects("the first visit", first.work, "0");
  group.same("new entries", String((await entries()) - before), "1");
  await page.reload();
  await load();
  const second = await ask(NAMES);
  group.same("dispatches", second.work, "0");
  group.same("answers", second.answer, first.answer);
  await page.reload();
  server.sent.length = 0;
  await load({ towers: "vision" });
  const withoutText = await ask(NAMES);
  group.same("without the text tower: dispatches", withoutText.work, "0");
  group.same("without the text tower: answers", withoutText.answer, first.answer);
  group.same(
    "tokenizers fetched",
    server.sent.filter(({ path }) => /tokenizer\.json|spiece/.test(path)).map(({ path }) => path),
    [],
  );
  const missing = await ask([...NAMES, "something new"]);
  group.same("a label that is not there", missing.answer, "bad-input");
  group.holds(
    "says which, and what to do",
    missing.message?.includes('"something new"') && missing.message.includes('"both"'),
    missing.message,
  );
  for (const options of [{}, { templates: [...TEMPLATES.templates, "a {}"] }, { ...TEMPLATES, cache: false }]) {
    await page.reload();
    await load({ towers: "vision" });
    group.same(`with ${JSON.stringify(options)}`, (await ask(NAMES, options)).answer, "bad-input");
  }
  await load({ towers: "vision", format: "q8" });
  group.same("in another format", (await ask(NAMES)).answer, "bad-input");
  await load();
  const alone = (await ask(["something new"], { ...TEMPLATES, cache: false })).work;
  group.rejects("the work for its texts", alone, "0");
  await page.reload();
  await load();
  // At most: alone it comes with the label that others are compared with, which is known by now.
  const { work } = await ask([...NAMES, "something new"]);
  group.holds("only what is missing", Number(work) > 0 && Number(work) <= Number(alone), `${work}, alone ${alone}`);
  await page.close();
}

/** No cache, a full one, and something else in it: the text tower is asked. */
async function trouble({ browser, server, report }) {
  const page = await browser.newPage();
  await page.goto(server.page);
  const group = report.group("labels without a cache that works");
  const answer = async () => JSON.stringify(await page.evaluate((p) => web.classifyBySet("set", [p], {}), PICTURE));
  await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  const make = (wrap, name) =>
    page.evaluate(
      ([w, n]) => (w ? web.withoutCaches("labels", "set", "siglip", n) : web.labels("set", "siglip", n)),
      [wrap, name],
    );
  await make(false, ["a cat", "damaged"]);
  const expected = await answer();
  for (const damage of ["", "something else", "\u0008\0\0\0\0\0\0\0{}      "]) {
    await page.evaluate((d) => web.labelEntries(d), damage);
    await page.reload();
    await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
    await make(false, ["a cat", "damaged"]);
    group.same(`damaged: ${JSON.stringify(damage)}`, await answer(), expected);
  }
  await page.reload();
  await page.evaluate(() => web.load("siglip", "/fixtures/siglip/"));
  await make(true, ["a cat", "damaged"]);
  group.same("a cache that cannot be opened", await answer(), expected);
  await make(true, ["a cat", "a rocket"]);
  group.rejects("another label", await answer(), expected);
  await page.close();
}

/** Labels belong to what a model is: they outlive what its address has kept, and go with everything. */
async function cleared({ browser, server, report }) {
  const page = await browser.newPage();
  await page.goto(server.page);
  const group = report.group("labels that are to be forgotten");
  const code = (call, ...args) =>
    page.evaluate(([c, a]) => web.attempt(() => web[c](...a)).then(({ code }) => code ?? "no error"), [call, args]);
  const load = async (towers) => {
    await page.reload();
    return code("load", "siglip", "/fixtures/siglip/", { towers, cache: true });
  };
  const again = async () => {
    await load("vision");
    return code("labels", "set", "siglip", NAMES, TEMPLATES);
  };
  await load("both");
  await code("labels", "set", "siglip", NAMES, TEMPLATES);
  group.same("of one address: no error", await code("clear", "/fixtures/siglip/"), "no error");
  const kept = await again();
  group.same("of one address: the labels stay", kept, "no error");
  group.same("everything: no error", await code("clear"), "no error");
  group.same("everything: no labels", String(await page.evaluate(() => web.labelEntries())), "0");
  group.same("everything: the text tower is asked", await again(), "bad-input");
  group.rejects("labels that are kept", kept, "bad-input");
  group.same("twice", await code("clear"), "no error");
  await page.close();
}
