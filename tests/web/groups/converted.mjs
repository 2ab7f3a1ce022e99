// A model that is converted while it is loaded is kept as it was converted: smaller, and ready for the next visit.
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { model, withLoading } from "../lib/loading.mjs";

const MODEL = "clip";
const WEIGHTS = "model.safetensors";
const FORMATS = ["none", "f16", "q8", "q4"];

/** Most of this is the cache's; so it is shown on the CPU, which is quicker here, and once on the GPU. */
const CPU = { backend: "cpu" };
const own = (store, format = "q8") => ({ ...CPU, format, cache: { store } });
const offline = () => ({ drop: true });

export async function converted({ browser, server, report, fixtures, site }) {
  const group = report.group("what was converted is kept as it is then");
  await withLoading({ browser, server, group }, fixtures.model(MODEL), async (here) => {
    const { page, files, load } = here;
    const source = model(files.url);
    /** What each format gives without a cache. */
    const expected = {};
    for (const format of FORMATS) {
      const { value, message } = await load(format, source, { ...CPU, format, cache: false });
      group.holds(`${format}, no cache`, value, message);
      expected[format] = value?.embeddings ?? "";
    }
    for (const format of FORMATS.slice(1)) group.rejects(`${format}: as stored`, expected[format], expected.none);
    const same = (what, format, { value, code, message }) =>
      group.same(what, value?.embeddings ?? `${code}: ${message}`, expected[format]);
    /** Bytes of the tensor file that are kept in a store of one's own, and that were sent. */
    const weights = (store) => page.evaluate(([name, file]) => loading.keptOf(name, file), [store, WEIGHTS]);
    const sent = () => files.sent.filter(({ name }) => name === WEIGHTS).reduce((sum, { bytes }) => sum + bytes, 0);
    const all = { ...here, group, source, expected, same, weights, sent };
    await stores(all);
    await forms(all);
    await broken(all);
    await resumed(all);
    await towers(all);
    await together(all);
    await changed({ ...all, other: fixtures.model("clip-eos") });
  });
  await listed({ browser, server, report, fixtures, site });
}

/** Every kind of cache, in the page and in a worker, on the CPU and on the GPU. */
async function stores({ page, files, load, group, source, expected, same, sent }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  const gpu = await load("GPU, no cache", source, { format: "q8", cache: false });
  for (const [what, options] of [
    ["the default", CPU],
    ["opfs", { ...CPU, cache: "opfs" }],
    ["a store of one's own", own("own")],
    ["the default, in a worker", { ...CPU, worker: true }],
    ["a store of one's own, in a worker", { ...own("worker"), worker: true }],
    ["GPU", { cache: { store: "gpu" } }],
  ]) {
    const q8 = { ...options, format: "q8" };
    const right = (what, result) =>
      what.startsWith("GPU")
        ? group.same(what, result.value?.embeddings ?? result.message, gpu.value?.embeddings ?? "")
        : same(what, "q8", result);
    files.reset();
    right(`${what}, first`, await load(what, source, q8));
    group.holds(`${what}, first: is fetched`, sent() > size * 0.9, sent());
    const [{ bytes }] = await page.evaluate((o) => loading.cached(o), q8);
    const others = files.sent.reduce((sum, { name, bytes }) => sum + (name === WEIGHTS ? 0 : bytes), 0);
    // The header, biases and norms are kept as they are.
    const share = (bytes - others) / size;
    group.holds(`${what}: share that is kept`, share > 0.25 && share < 0.4, share);
    files.reset();
    const second = await load(`${what}, second`, source, q8);
    right(`${what}, second`, second);
    group.same(`${what}, second: downloadBytes`, String(second.value?.downloadBytes), "0");
    group.same(`${what}, second: bytes of tensors`, sent(), 0);
    group.rejects(`${what}, first: is not fetched`, size, sent());
    files.fault = offline;
    right(`${what}, offline`, await load(`${what}, offline`, source, q8));
    await page.evaluate(([s, o]) => loading.clear(s, o), [source.folder, q8]);
    group.same(`${what}: cleared`, await page.evaluate((o) => loading.cached(o), q8), []);
  }
  // Both engines read the same rows.
  files.reset();
  await load("kept by the CPU", source, own("both"));
  files.fault = offline;
  const onGpu = await load("kept by the CPU, on the GPU", source, { format: "q8", cache: { store: "both" } });
  group.same("kept by the CPU, on the GPU", onGpu.value?.embeddings ?? onGpu.message, gpu.value?.embeddings ?? "");
  group.rejects("another format", expected.q8, expected.q4);
}

/** A folder is kept in one form: the last that was asked for. No form is taken for another. */
async function forms({ files, load, group, source, same, weights, sent }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  const alone = {};
  for (const format of FORMATS) {
    files.reset();
    same(`${format} alone`, format, await load(format, source, own(format, format)));
    alone[format] = await weights(format);
  }
  group.holds(
    "each is smaller than the one before",
    alone.q4 < alone.q8 && alone.q8 < alone.f16 && alone.f16 < alone.none,
  );
  let before = "none";
  await load("before", source, own("forms", before));
  for (const format of ["q8", "q4", "f16", "none", "q4", "q8", "none"]) {
    const what = `${format} after ${before}`;
    files.reset();
    // What is converted from the files' own bytes needs nothing but them.
    if (before === "none") files.fault = offline;
    same(what, format, await load(what, source, own("forms", format)));
    group.same(`${what}: bytes kept`, await weights("forms"), alone[format]);
    if (before !== "none") group.holds(`${what}: is fetched`, sent() > size / 2, sent());
    files.reset();
    files.fault = offline;
    same(`${what}, offline`, format, await load(`${what}, offline`, source, own("forms", format)));
    if (format !== "none") {
      const gone = await load(`${before} after ${format}, offline`, source, own("forms", before));
      group.same(`${before} after ${format}, offline`, gone.code ?? "no error", "not-found");
    }
    before = format;
  }
}

/** What is kept in another length is fetched again, and what is gone. */
async function broken({ page, files, load, same, group, weights, source, sent }) {
  const options = own("broken");
  files.reset();
  await load("before it breaks", source, options);
  const sound = await weights("broken");
  await page.evaluate(() => loading.truncate("broken"));
  files.reset();
  same("a byte is missing", "q8", await load("a byte is missing", source, options));
  group.holds("a byte is missing: is fetched", sent() > 0, sent());
  await page.evaluate(() => loading.vanish("broken", 12));
  files.reset();
  same("cleared meanwhile", "q8", await load("cleared meanwhile", source, options));
  await page.evaluate(() => loading.vanish("broken", Infinity));
  files.reset();
  same("mended", "q8", await load("mended", source, options));
  files.fault = offline;
  same("mended, offline", "q8", await load("mended, offline", source, options));
  group.same("mended: bytes kept", await weights("broken"), sound);
}

/** A load that breaks off or is stopped has kept what it had converted. */
async function resumed({ page, files, load, group, source, same, weights, sent }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  const whole = await weights("broken");
  for (const stopped of [false, true]) {
    const what = stopped ? "stopped" : "broken off";
    const options = own(what);
    const until = () =>
      page.waitForFunction(([name, file, least]) => loading.heldOf(name, file) > least, [what, WEIGHTS, whole / 3]);
    files.reset();
    const fault = (count) =>
      stopped ? { slow: 10 } : count === 1 ? { cut: Math.floor(size * 0.7), until } : { drop: true };
    files.fault = ({ name, method, count }) => (name === WEIGHTS && method === "GET" ? fault(count) : {});
    const first = await load(what, source, options, stopped ? 0.6 : undefined);
    group.same(what, first.code ?? "no error", stopped ? "aborted" : "not-found");
    files.reset();
    same(`after it ${what}`, "q8", await load(`after it ${what}`, source, options));
    group.holds(
      `after it ${what}: only the rest is fetched`,
      sent() > 0 && sent() < size * 0.8,
      `${sent()} of ${size}`,
    );
    group.same(`after it ${what}: bytes kept`, await weights(what), whole);
  }
}

async function towers({ files, load, group, source, same, sent }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  files.reset();
  const image = await load("vision", source, { ...own("towers"), towers: "vision" });
  group.holds("vision", image.value, image.message);
  files.reset();
  same("both after vision", "q8", await load("both after vision", source, own("towers")));
  group.holds("both after vision: only the rest is fetched", sent() > 0 && sent() < size * 0.8, sent());
  files.fault = offline;
  same("both, offline", "q8", await load("both, offline", source, own("towers")));
}

/** Loads at once share the download; those of several formats are right all the same. */
async function together({ page, files, load, group, source, weights, sent }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  const run = (options) => page.evaluate(([s, o]) => loading.together(s, o), [source, options]);
  files.reset();
  const two = await run([own("two"), own("two")]);
  group.same("two at once", two[1].value ?? two[1].message, two[0].value ?? two[0].message);
  group.holds("two at once: one download", sent() < size * 1.1, sent());
  files.reset();
  const mixed = await run(["q8", "none", "q4"].map((format) => own("mixed", format)));
  for (const [at, format] of ["q8", "none", "q4"].entries()) {
    const [alone] = await run([{ ...own("", format), cache: false }]);
    group.same(`several formats at once: ${format}`, mixed[at].value ?? mixed[at].message, alone.value ?? "");
  }
  await load("the last", source, own("mixed"));
  group.same("several formats at once: bytes kept", await weights("mixed"), await weights("two"));
}

/** Another model at the same address. */
async function changed({ files, load, group, source, expected, other }) {
  files.reset();
  files.folder = other;
  const after = await load("changed", source, own("two"));
  const fresh = await load("changed, no cache", source, { ...own(""), cache: false });
  group.same("changed on the server", after.value?.embeddings ?? after.message, fresh.value?.embeddings ?? "");
  group.rejects("not changed", fresh.value?.embeddings ?? "", expected.q8);
}

/** What a manifest lists is judged by its own bytes in every visit, so it is kept in them. */
async function listed({ browser, server, report, fixtures, site }) {
  const group = report.group("what is converted, with a manifest");
  const folder = site.path("listed");
  cpSync(fixtures.model(MODEL), folder, { recursive: true });
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ocelli_manifest: "manifest.json" }));
  const entry = (name) => {
    const bytes = readFileSync(join(folder, name));
    return [name, { size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }];
  };
  const names = readdirSync(folder).filter((name) => /^(model|config|preprocessor|tokenizer)/.test(name));
  const files = Object.fromEntries(names.map(entry));
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ version: 1, format: "f32", files }));
  await withLoading({ browser, server, group }, folder, async ({ page, files, load }) => {
    const source = model(files.url);
    const first = await load("first", source, own("listed"));
    group.holds("first", first.value, first.message);
    const kept = await page.evaluate((name) => loading.keptOf("listed", name), WEIGHTS);
    const size = readFileSync(join(folder, WEIGHTS)).length;
    group.holds("is kept as it is", kept > size * 0.9, `${kept} of ${size}`);
    files.fault = offline;
    const second = await load("offline", source, own("listed"));
    group.same("offline", second.value?.embeddings ?? second.message, first.value?.embeddings ?? "");
    await page.evaluate(() => loading.damage("listed", "safetensors#"));
    const damaged = await load("damaged", source, own("listed"));
    group.same("damaged", damaged.code ?? "no error", "bad-checkpoint");
    group.rejects("sound", second.code ?? "no error", "bad-checkpoint");
  });
}
