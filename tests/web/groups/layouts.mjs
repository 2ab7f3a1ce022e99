// Folders as the tools of today write them: the same numbers as the reference, single towers that say what they are, and no request in
// vain for a folder of the usual kind.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { distance } from "../lib/report.mjs";

/** The bound of the embeddings in f32, as in `numbers`. */
const BOUND = 2e-5;

export async function layouts({ browser, server, report, fixtures, site }) {
  const group = report.group("folders of other tools", distance, BOUND);
  const facts = report.beside("folders of other tools: towers, errors, requests");
  // A page of its own: the browser writes on its console what is not there.
  const page = await browser.newPage();
  await page.goto(server.page);
  const ask = async (folder, { images = {}, texts = [] }, options = {}) => {
    server.sent.length = 0;
    const answer = await page.evaluate(
      ([folder, images, texts, options]) =>
        web.attempt(async () => {
          const { info } = await web.load("layout", folder, { cache: false, ...options });
          const found = { info, images: {}, texts: [], other: undefined };
          for (const name of images)
            found.images[name] = await web.embedImage("layout", { url: `/fixtures/images/${name}` });
          for (const text of texts) found.texts.push(await web.embedText("layout", text));
          found.other = await web.attempt(() =>
            info.towers === "text"
              ? web.embedImage("layout", { url: "/fixtures/images/rgb-61x37.png" })
              : web.embedText("layout", "a cat"),
          );
          found.ids = info.towers === "vision" ? [] : await web.tokenize("layout", texts[0] ?? "a cat");
          await web.dispose("layout");
          return found;
        }),
      [folder, Object.keys(images), texts.map(({ text }) => text), options],
    );
    return { ...answer, paths: server.sent.map(({ path }) => path) };
  };
  const right = (what, { value, message }, { images = {}, texts = [] }) => {
    for (const [name, embedding] of Object.entries(images)) {
      group.same(`${what}: ${name}`, value?.images[name] ?? [], embedding);
      facts.holds(`${what}: loads`, value, message);
    }
    texts.forEach(({ text, embedding }, i) => group.same(`${what}: ${text}`, value?.texts[i] ?? [], embedding));
    const other = Object.values(images)[1] ?? texts[1].embedding;
    group.rejects(`${what}: another`, Object.values(value?.images ?? {})[0] ?? value?.texts[0] ?? [], other);
  };

  for (const [name, towers] of [
    ["clip-v5", "both"],
    ["siglip-v5", "both"],
    ["clip-vision", "vision"],
    ["clip-text-projection", "text"],
    ["siglip-vision", "vision"],
    ["siglip-text", "text"],
  ]) {
    const { folder, expected } = layout(name, { site, fixtures });
    const found = await ask(folder, expected);
    right(name, found, expected);
    facts.same(`${name}: towers`, found.value?.info.towers ?? found.message, towers);
    facts.same(`${name}: a note`, typeof found.value?.info.note, name === "clip-vision" ? "string" : "undefined");
    if (towers === "both") continue;
    facts.same(`${name}: the other tower`, found.value?.other.code ?? "none", "bad-input");
    facts.holds(
      `${name}: says what there is`,
      found.value?.other.message?.includes(`the ${towers} tower alone`),
      found.value?.other.message,
    );
    const other = towers === "vision" ? "text" : "vision";
    facts.same(
      `${name}: asked for the other`,
      (await ask(folder, {}, { towers: other })).code ?? "none",
      "wrong-model",
    );
  }

  // sentence-transformers' root, from a server, and with the tokenizer's files in the folder of the model.
  const golden = fixtures.golden("clip");
  const pictures = Object.fromEntries(
    ["rgb-61x37.png", "tall-23x97.png"].map((name) => [name, golden.images[name].embedding]),
  );
  const expected = { images: pictures, texts: golden.texts.slice(0, 2) };
  cpSync(fixtures.model("clip"), site.path("st/0_CLIPModel"), { recursive: true });
  const part = { idx: 0, name: "0", path: "0_CLIPModel", type: "sentence_transformers.models.CLIPModel" };
  writeFileSync(site.path("st/modules.json"), JSON.stringify([part]));
  right("sentence-transformers", await ask(site.url("st/"), expected), expected);

  // open_clip's files beside timm's config.json.
  cpSync(fixtures.model("open-clip"), site.path("timm"), { recursive: true });
  writeFileSync(site.path("timm/config.json"), JSON.stringify({ architecture: "vit_base_patch32_clip_224" }));
  const openClip = fixtures.golden("open-clip");
  const timm = {
    images: Object.fromEntries(Object.keys(pictures).map((name) => [name, openClip.images[name].embedding])),
    texts: openClip.texts.slice(0, 2),
  };
  right("open_clip beside timm", await ask(site.url("timm/"), timm), timm);

  // An adapter is named, and another family before anything is missed.
  mkdirSync(site.path("adapter"), { recursive: true });
  writeFileSync(site.path("adapter/adapter_config.json"), JSON.stringify({ peft_type: "LORA" }));
  const adapter = await ask(site.url("adapter/"), {});
  facts.same("an adapter", adapter.code ?? "none", "wrong-model");
  facts.holds("an adapter: what to do", adapter.message?.includes("merge_and_unload"), adapter.message);
  mkdirSync(site.path("other"), { recursive: true });
  writeFileSync(site.path("other/config.json"), JSON.stringify({ model_type: "chinese_clip" }));
  const other = await ask(site.url("other/"), {});
  facts.holds("another family", other.message?.includes('"chinese_clip"'), other.message);

  // A usual folder is asked for what it has.
  const usual = await ask("/fixtures/clip/", expected);
  const inVain = (paths) =>
    paths.filter((path) => /\/(modules|adapter_config|processor_config|open_clip\w*)\.json$/.test(path));
  facts.same("a usual folder: requests in vain", inVain(usual.paths), []);
  facts.rejects("requests in vain", inVain(adapter.paths), []);
  await page.close();
}

/** A folder of the fixtures `layouts` with its tokenizer beside it, and what the reference made of it. */
function layout(name, { site, fixtures }) {
  const from = join(fixtures.model("layouts"), name);
  const expected = JSON.parse(readFileSync(join(from, "expected.json"), "utf8"));
  cpSync(from, site.path(`layout-${name}`), { recursive: true });
  if (expected.texts) {
    // transformers saves SigLIP's tokenizer as spiece.model alone.
    const files = [expected.tokenizer === "siglip" ? "spiece.model" : "tokenizer.json", "tokenizer_config.json"];
    for (const file of files) {
      cpSync(join(fixtures.model(expected.tokenizer), file), site.path(`layout-${name}/${file}`), { force: false });
    }
  }
  return { folder: site.url(`layout-${name}/`), expected };
}
