// What came over the network is kept: a second load needs none, and never mixes what was with what is.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { model, withLoading } from "../lib/loading.mjs";

const MODEL = "siglip2";

/** Requests that brought bytes of files. */
const fetched = (files) =>
  files.sent.filter(({ method, bytes }) => method === "GET" && bytes > 0).map(({ name }) => name);
const offline = () => ({ drop: true });

export async function cache({ browser, server, report, fixtures, site, native }) {
  const group = report.group("what was fetched is kept");
  await withLoading({ browser, server, group }, fixtures.model(MODEL), async (here) => {
    const { page, files, load } = here;
    const source = model(files.url);
    const plain = await load("no cache", source, { cache: false });
    const expected = plain.value?.embeddings;
    group.holds("no cache", expected, plain.message);
    group.same("no cache: what is kept", await page.evaluate(() => loading.cached()), []);
    // The default is the Cache API.
    for (const [what, options] of [
      ["by default", {}],
      ["opfs", { cache: "opfs" }],
      ["a store of one's own", { cache: { store: "own" } }],
      ["opfs in a worker", { worker: true, cache: "opfs" }],
      ["a worker", { worker: true, cache: { store: "worker" } }],
    ]) {
      await kept({ ...here, group, what, options, source, expected });
    }
    await parts({ ...here, group, source, expected });
    await storage({ ...here, group });
  });
  await changes({ browser, server, group, fixtures });
  await tokenizer({ browser, server, report, fixtures, site });
  await manifest({ browser, server, report, fixtures, site, native });
  await quota({ browser, server, report, fixtures });
}

async function kept({ page, files, load, group, what, options, source, expected }) {
  files.reset();
  const before = Date.now();
  const first = await load(`${what}, first`, source, options);
  group.same(`${what}, first: embeddings`, first.value?.embeddings ?? first.message, expected);
  const size = files.sent.reduce((sum, { bytes }) => sum + bytes, 0);
  // The tokenizer comes along.
  group.same(`${what}, first: downloadBytes`, String(first.value?.downloadBytes), String(size));
  const [entry, ...more] = await page.evaluate((o) => loading.cached(o), options);
  group.same(
    `${what}: cached()`,
    [entry?.url, entry?.bytes, more.length].map(String),
    [files.url, size, 0].map(String),
  );
  group.holds(`${what}: when`, entry?.when >= before && entry.when <= Date.now(), entry?.when);
  files.reset();
  const second = await load(`${what}, second`, source, options);
  group.same(`${what}, second: embeddings`, second.value?.embeddings ?? second.message, expected);
  group.same(`${what}, second: downloadBytes`, String(second.value?.downloadBytes), "0");
  group.same(`${what}, second: fetched`, fetched(files), []);
  files.fault = offline;
  const third = await load(`${what}, offline`, source, options);
  group.same(`${what}, offline: embeddings`, third.value?.embeddings ?? third.message, expected);
  const tokens = await page.evaluate(([s, o]) => loading.tokens(s, o), [source, options]);
  group.holds(`${what}, offline: tokenizer`, tokens.value?.length > 0, tokens.message);
  await page.evaluate(([s, o]) => loading.clear(s.folder, o), [source, options]);
  group.same(`${what}: cleared`, await page.evaluate((o) => loading.cached(o), options), []);
  const fourth = await load(`${what}, offline, cleared`, source, options);
  group.same(`${what}, offline, cleared`, fourth.code ?? "no error", "not-found");
  group.rejects(`${what}: a load without a cache`, fourth.code ?? "no error", "no error");
  files.reset();
}

/** Towers and rows of the table: what is needed is kept, and nothing is fetched twice. */
async function parts({ files, load, group, source, expected }) {
  files.reset();
  const options = { cache: { store: "parts" } };
  const alone = await load("vision", source, { ...options, towers: "vision" });
  files.fault = offline;
  const again = await load("vision, offline", source, { ...options, towers: "vision" });
  group.same("vision, offline: embedding", again.value?.embeddings ?? again.message, alone.value?.embeddings ?? "");
  files.reset();
  const rows = await load("rows", source, { ...options, towers: "text", tokenTable: "server" });
  group.same("rows: embeddings", rows.value?.embeddings ?? rows.message, expected);
  files.fault = offline;
  const kept = await load("rows, offline", source, { ...options, towers: "text", tokenTable: "server" });
  group.same("rows, offline: embeddings", kept.value?.embeddings ?? kept.message, expected);
  const other = await load("both, offline", source, options);
  group.same("both, offline", other.code ?? "no error", "not-found");
  files.reset();
  const both = await load("both", source, options);
  group.same("both: embeddings", both.value?.embeddings ?? both.message, expected);
  const weights = files.sent.filter(({ name, method }) => name === "model.safetensors" && method === "GET");
  const size = readFileSync(join(files.folder, "model.safetensors")).length;
  group.holds(
    "both: only the rest is fetched",
    weights.length > 0 && weights.reduce((sum, { bytes }) => sum + bytes, 0) < size * 0.9,
    weights.length,
  );
}

/** A load without a single text keeps what the first text needs; so a network may be gone by then. */
async function tokenizer({ browser, server, report, fixtures, site }) {
  const group = report.group("the tokenizer is kept with the weights");
  const large = site.path("large");
  cpSync(fixtures.model(MODEL), large, { recursive: true });
  const file = join(large, "tokenizer.json");
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(64e6, " ")]));
  await withLoading({ browser, server, group }, fixtures.model(MODEL), async ({ page, files, load }) => {
    const source = model(files.url);
    const only = (options) => page.evaluate(([s, o]) => loading.loadOnly(s, o), [source, options]);
    const tokenizers = () => fetched(files).filter((name) => name === "tokenizer.json");
    const expected = (await load("no cache", source, { cache: false })).value?.embeddings ?? "";
    /** What texts give without a network, after a load that saw none. */
    const afterwards = async (what, options, folder) => {
      files.reset();
      files.folder = folder ?? files.folder;
      const first = await only(options);
      group.holds(`${what}: loads`, first.value > 0, first.message);
      const brought = tokenizers();
      files.fault = offline;
      const { value, code } = await load(`${what}, offline`, source, { ...options, towers: "both" });
      return [brought.length, value?.embeddings ?? code].map(String);
    };
    group.same("both towers", await afterwards("both towers", { cache: { store: "both" } }), ["1", expected]);
    group.same(
      "both towers, in a worker",
      await afterwards("both towers, in a worker", { worker: true, cache: { store: "posted" } }),
      ["1", expected],
    );
    const image = await afterwards("pictures alone", { cache: { store: "image" }, towers: "vision" });
    group.same("pictures alone: no tokenizer", image, ["0", "not-found"]);
    group.rejects("pictures alone: as both", image, ["1", expected]);
    group.same("without a cache", await afterwards("without a cache", { cache: false }), ["0", "not-found"]);
    const options = { cache: { store: "large" } };
    const most = await afterwards("a large tokenizer", options, large);
    group.same("a large tokenizer is left for the first text", most[1], "not-found");
    const bytes = (await page.evaluate((o) => loading.cached(o), options)).reduce((sum, entry) => sum + entry.bytes, 0);
    group.holds("a large tokenizer: is not kept", bytes > 0 && bytes < 32e6, bytes);
    files.reset();
    const later = await load("a large tokenizer, with a network", source, options);
    group.same("a large tokenizer, with a network", later.value?.embeddings ?? later.message, expected);
  });
}

async function storage({ page, group }) {
  const { usage, quota, persisted } = await page.evaluate(() => loading.storage());
  group.holds(
    "storage()",
    usage >= 0 && quota > 0 && typeof persisted === "boolean",
    JSON.stringify({ usage, quota, persisted }),
  );
  const answers = await page.evaluate(() => loading.persist());
  group.same("storage({ persist: true }): what the browser says", answers, [true, false]);
}

/** Another model at the same address. */
async function changes({ browser, server, group, fixtures }) {
  for (const etag of [true, false]) {
    await withLoading(
      { browser, server, group },
      fixtures.model("clip"),
      async ({ files, load }) => {
        const what = etag ? "by ETag" : "by size";
        const source = model(files.url);
        await load(`${what}: before`, source, {});
        files.folder = fixtures.model("clip-eos");
        const after = await load(`${what}: after`, source, {});
        const fresh = await load(`${what}: fresh`, source, { cache: false });
        group.same(`changed, ${what}`, after.value?.embeddings ?? after.message, fresh.value?.embeddings ?? "");
        files.fault = offline;
        const still = await load(`${what}: offline`, source, {});
        group.same(
          `changed, ${what}, offline`,
          still.value?.embeddings ?? still.message,
          fresh.value?.embeddings ?? "",
        );
        // One file is another model's, whose folder may not be taken for sound afterwards.
        files.reset();
        files.folder = fixtures.model("clip");
        files.fault = ({ name }) => (name === "config.json" ? { folder: fixtures.model("clip-eos") } : {});
        await load(`${what}: mixed`, source, {});
        files.reset();
        const sound = await load(`${what}: sound`, source, {});
        const clip = await load(`${what}: sound, fresh`, source, { cache: false });
        group.same(
          `mixed, ${what}: the next load`,
          sound.value?.embeddings ?? sound.message,
          clip.value?.embeddings ?? "",
        );
        group.rejects(`changed, ${what}: another model`, clip.value?.embeddings ?? "", fresh.value?.embeddings ?? "");
      },
      { etag },
    );
  }
}

/** What is kept is judged like what arrives. */
async function manifest({ browser, server, report, fixtures, site, native }) {
  const group = report.group("what is kept, with a manifest");
  native.quantize(fixtures.model(MODEL), site.path("kept"), "q8");
  await withLoading({ browser, server, group }, site.path("kept"), async ({ page, files, load }) => {
    const source = model(files.url);
    const options = { cache: { store: "manifest" } };
    const first = await load("first", source, options);
    files.fault = offline;
    const second = await load("offline", source, options);
    group.same("offline: embeddings", second.value?.embeddings ?? second.message, first.value?.embeddings ?? "");
    for (const name of ["tokenizer.json", "safetensors#"]) {
      files.reset();
      group.holds(`${name}: is kept`, (await page.evaluate((n) => loading.damage("manifest", n), name)) > 0);
      const damaged = await load(`${name} damaged`, source, options);
      group.same(`${name} damaged`, damaged.code ?? "no error", "bad-checkpoint");
      group.rejects(`${name} whole`, second.code ?? "no error", "bad-checkpoint");
      const mended = await load(`${name} mended`, source, options);
      group.same(`${name}: the next load`, mended.value?.embeddings ?? mended.message, first.value?.embeddings ?? "");
    }
  });
}

/** A store without room is no error. */
async function quota({ browser, server, report, fixtures }) {
  const group = report.group("a cache without room");
  await withLoading({ browser, server, group }, fixtures.model(MODEL), async ({ page, files, load }) => {
    const source = model(files.url);
    const expected = (await load("no cache", source, { cache: false })).value?.embeddings ?? "";
    for (const most of [0, 1000, 50_000]) {
      const options = { cache: { store: `full-${most}` }, most };
      for (const what of [`room for ${most}`, `room for ${most}, again`]) {
        const { value, message } = await load(what, source, options);
        group.same(what, value?.embeddings ?? message, expected);
      }
    }
    await page.evaluate(() => loading.fillCache());
    const { value, message } = await load("the browser's", source, {});
    group.same("the browser's cache is full", value?.embeddings ?? message, expected);
    // In Firefox all pages share one profile.
    const kept = await page.evaluate(() => loading.cached());
    group.same(
      "nothing is kept",
      kept.filter(({ url }) => url === files.url),
      [],
    );
    files.fault = offline;
    const none = await load("offline", source, {});
    group.same("offline", none.code ?? "no error", "not-found");
    group.rejects("an error", none.code, "no error");
  });
}
