// A checkpoint in several files gives the numbers of the one in one.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { intoShards, NAMES } from "../lib/shards.mjs";

const MODEL = "siglip2";
const PICTURE = "/fixtures/images/rgb-61x37.png";

export async function shards({ browser, server, report, fixtures, site }) {
  const group = report.group("a model in shards");
  // A page of its own: the browser writes on its console that there is no model.safetensors.
  const page = await browser.newPage();
  await page.goto(server.page);
  const whole = await page.evaluate(
    ([m, u]) => web.load(m, `/fixtures/${m}/`).then(() => web.embedImage(m, { url: u })),
    [MODEL, PICTURE],
  );
  const ask = (name) =>
    page.evaluate(
      ([f, u]) => web.attempt(() => web.load("shards", f).then(() => web.embedImage("shards", { url: u }))),
      [folder({ site, fixtures }, name), PICTURE],
    );
  const { value, code, message } = await ask("sound");
  group.same("embedding", JSON.stringify(value), JSON.stringify(whole));
  group.rejects("an error", code ?? message ?? "none", "bad-checkpoint");
  group.same("a shard is missing", (await ask("missing")).code, "not-found");
  group.same("the index names a file elsewhere", (await ask("elsewhere")).code, "bad-checkpoint");
  await page.close();
}

/** A folder that `ocelli quantize` wrote: nothing in it can be changed unnoticed, and nothing is fetched that is not needed. */
export async function manifest({ page, server, report, fixtures, site, native }) {
  const group = report.group("a folder with a manifest");
  native.quantize(fixtures.model(MODEL), site.path("written"), "q8");
  const load = (folder, options = {}) =>
    page.evaluate(
      ([f, o, u]) =>
        web.attempt(async () => {
          await web.load("written", f, o);
          // The tokenizer is read with the first text.
          await web.tokenize("written", "a cat");
          return web.embedImage("written", { url: u });
        }),
      [folder, options, PICTURE],
    );
  const sound = await load(site.url("written/"));
  const direct = await load(`/fixtures/${MODEL}/`, { format: "q8" });
  group.same("as quantised while loading", JSON.stringify(sound.value), JSON.stringify(direct.value));
  const { files } = JSON.parse(readFileSync(join(site.path("written"), "manifest.json")));
  for (const name of Object.keys(files).filter((name) => name !== "goldens.json" && !name.endsWith("index.json"))) {
    const folder = `written-${name}`;
    cpSync(site.path("written"), site.path(folder), { recursive: true });
    const bytes = readFileSync(join(site.path(folder), name));
    // The last byte of a JSON file is a line's end: a space there is no error of syntax.
    bytes[bytes.length - 1] = bytes.at(-1) === 10 ? 32 : bytes.at(-1) ^ 1;
    writeFileSync(join(site.path(folder), name), bytes);
    const { code, message } = await load(site.url(`${folder}/`));
    group.same(`${name}: a byte changed`, code, "bad-checkpoint");
    group.holds(`${name}: says so`, message?.startsWith(name) && message.includes("manifest.json"), message);
    group.rejects(`${name}: unchanged`, sound.code ?? "no error", "bad-checkpoint");
  }
  for (const [tower, other] of [
    ["vision", "text"],
    ["text", "vision"],
  ]) {
    server.sent.length = 0;
    await page.evaluate(([f, towers]) => web.load("written", f, { towers }), [site.url("written/"), tower]);
    // A load that failed before may still have a request under way, in a folder of its own.
    const own = server.sent.filter(({ path }) => path.startsWith(site.url("written/")));
    const asked = own.map(({ path }) => path.split("/").at(-1));
    group.same(
      `${tower}: files of the other tower`,
      asked.filter((name) => files[name]?.tower === other),
      [],
    );
    group.rejects(
      `${tower}: files of its own`,
      asked.filter((name) => files[name]?.tower === tower),
      [],
    );
    group.same(
      `${tower}: files that are not there`,
      own.filter(({ bytes }) => bytes === 0).map(({ path }) => path),
      [],
    );
  }
}

function folder({ site, fixtures }, name) {
  const path = site.path(`shards-${name}`);
  intoShards(fixtures.model(MODEL), path, (shard) => (name === "elsewhere" ? `../${shard}` : shard));
  if (name === "missing") rmSync(join(path, NAMES[1]));
  return site.url(`shards-${name}/`);
}
