// Search over embeddings: every answer against f64, on the GPU and on the CPU, in one buffer and in many.
import { join } from "node:path";
import { largest } from "../lib/report.mjs";
import { bundle } from "../lib/parts.mjs";
import { alike, nearest, rounded, vectors } from "../lib/vectors.mjs";
import { files } from "./index-files.mjs";
import { model } from "./index-model.mjs";

/** Rows and the query are rounded to f32, or the scale of a row is: 2^-24 each, against a sum of |q · r| of at most 1. */
const CLOSE = 2 ** -22;
const FORMATS = ["f32", "int8"];

export async function index(test) {
  bundle(join(test.root, "pkg"), ["index/image-index", "index/rows", "index/scan"], test.site.path("search-parts.js"));
  const page = await test.browser.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`${test.server.url}page/search.html`);
  await page.waitForFunction(() => globalThis.search);
  /** Calls the page's half. */
  const ask = (method, ...args) => page.evaluate(([m, a]) => search[m](...a), [method, args]);
  const own = { ...test, page, ask };
  for (const format of FORMATS) await shader(own, format);
  for (const format of FORMATS) await answers(own, format);
  await growth(own);
  await choice(own);
  await duplicates(own);
  await trouble(own);
  await lost(own);
  await files(own);
  await model(own);
  const group = test.report.group("console of the search's page");
  group.same("complaints", complaints, []);
  await page.evaluate(() => console.log("x"));
  group.rejects("x", complaints, []);
  await page.close();
}

/** A method's value; an error is a failure. */
export async function get(ask, ...args) {
  const { value, code, message } = await ask("call", ...args);
  if (code) throw new Error(`${args[1]}: ${code}: ${message}`);
  return value;
}

const ids = (rows) => rows.map((_, i) => `i${i}`);

/** A fresh index with these rows. */
export async function make(ask, name, rows, options = {}) {
  const { message } = await ask("create", name, { dim: rows[0].length, modelHash: "A", backend: "webgpu", ...options });
  if (message) throw new Error(message);
  await get(ask, name, "add", ids(rows), rows);
}

/** Bytes of 64 rows on the GPU. */
const block = (dim, format) => 64 * 16 * Math.ceil((dim * (format === "int8" ? 1 : 4)) / 16);

const wrongInt8 = [
  ["+ f32(low)", ""],
  ["255.0", "256.0"],
  ["return scales[block * BLOCK + lane]", "return scales[block * BLOCK]"],
  ["+ dot4I8Packed(a.w, b.w)", ""],
];

/** The kernel against exact maxima, and what is wrong with it on purpose. */
async function shader({ ask, report }, format) {
  /** Shares of what an error may be. */
  const share = ({ best, exact, slack }) => Math.max(...best.map((scores, q) => largest(scores, exact[q]) / slack[q]));
  const group = report.group(`${format}: the shader's maxima, as shares`, ([found]) => found, 1);
  for (const [count, dim, queries, blocks] of [
    [1, 1, 1],
    [63, 7, 2],
    [65, 16, 1],
    [200, 100, 3],
    [700, 48, 5, 2],
    [700, 48, 5, 1],
    [130, 769, 1],
  ]) {
    const passes = [...Array(count).keys()].filter((row) => count < 64 || row % 5 !== 3);
    const given = {
      format,
      rows: vectors(count, dim),
      queries: vectors(queries, dim, 7),
      passes,
      maxBytes: blocks && blocks * block(dim, format),
    };
    group.same(`${count} × ${dim}, ${queries} queries`, [share(await ask("scan", given))], [1]);
  }
  const passes = [...Array(280).keys()].filter((row) => row % 5);
  const given = { format, rows: vectors(300, 40), queries: vectors(2, 40, 7), passes, maxBytes: 2 * block(40, format) };
  const wrong = [
    ["let block = params.first + group.x", "let block = params.first + group.x + 1u"],
    ["let block = params.first + group.x", "let block = group.x"],
    ["if counts {", "if true {"],
    ["peak = max(peak, scores[lane + i])", "peak = scores[lane + i]"],
    ["i < GROUP", "i < GROUP - 1u"],
    ["q * params.groups", "0u * params.groups"],
    ["s < params.steps", "s < params.steps - 1u"],
    ...(format === "f32" ? [["+ sums.w", ""]] : wrongInt8),
  ];
  for (const [from, to] of wrong)
    group.rejects(`${from} → ${to}`, [share(await ask("scan", { ...given, replace: [from, to] }))], [1]);
  group.same("the same, unspoilt", [share(await ask("scan", given))], [1]);
}

async function answers({ ask, report }, format) {
  const group = report.group(`${format}: scores`, largest, CLOSE);
  const same = report.beside(`${format}: hits, on GPU and CPU, whole and in shards`);
  for (const [count, dim, k] of [
    [1, 3, 10],
    [64, 7, 1],
    [65, 48, 10],
    [1000, 48, 10],
    [1000, 48, 200],
    [333, 512, 17],
  ]) {
    const rows = vectors(count, dim);
    const kept = format === "int8" ? rows.map(rounded) : rows;
    const [query, other] = vectors(2, dim, 3);
    const right = nearest(kept, query, k);
    const hits = {};
    const kinds = {
      "gpu": {},
      "cpu": { backend: "cpu" },
      "shards of 128 rows": { maxBufferBytes: 3 * block(dim, format) - 1 },
      "shards of 64 rows": { maxBufferBytes: 1 },
    };
    for (const [name, options] of Object.entries(kinds)) {
      await make(ask, name, rows, { format, ...options });
      hits[name] = await get(ask, name, "search", query, { k });
      same.same(`${name}: where`, await get(ask, name, "backend"), name === "cpu" ? "cpu" : "webgpu");
      same.same(
        `${count} × ${dim}, ${name}: ids`,
        hits[name].map(({ id }) => id),
        right.map(({ row }) => `i${row}`),
      );
      same.same(`${count} × ${dim}, ${name}: to the last bit`, JSON.stringify(hits[name]), JSON.stringify(hits.gpu));
    }
    group.same(
      `${count} × ${dim}`,
      hits.gpu.map(({ score }) => score),
      right.map(({ score }) => score),
    );
    group.rejects(
      "another query's",
      hits.gpu.map(({ score }) => score),
      nearest(kept, other, k).map(({ score }) => score),
    );
    const unit = (row) => row.map((x) => x / Math.hypot(...row));
    const last = await get(ask, "gpu", "vector", `i${count - 1}`);
    group.same(`${count} × ${dim}: a vector`, last, unit(kept.at(-1)));
    if (count > 1) group.rejects("another item's vector", last, unit(kept[0]));
    if (count > k)
      same.rejects(
        "another query's",
        hits.gpu.map(({ id }) => id),
        nearest(kept, other, k).map(({ row }) => `i${row}`),
      );
  }
  // What is read back is little: one number for 16 rows.
  const { seen } = await ask("watched", "shards of 128 rows", "search", vectors(1, 512, 3)[0]);
  same.same("333 rows in shards of 128: dispatches, reads", [seen.dispatches, seen.reads], [3, 1]);
}

/** Rows that come and go between searches, and searches that are under way meanwhile. */
async function growth({ ask, report }) {
  const group = report.group("items that come and go");
  const rows = vectors(500, 24);
  const [query] = vectors(1, 24, 5);
  const found = async (name) =>
    (await get(ask, name, "search", query, { k: 500 })).map(({ id }) => Number(id.slice(1)));
  /** Looked for by itself, which only what is on the GPU finds. */
  const itself = async (row) =>
    group.same(`${row} by itself`, (await get(ask, "g", "search", rows[row], { k: 1 }))[0]?.id ?? "nothing", `i${row}`);
  const right = (passes) => nearest(rows.map(rounded), query, 500, passes).map(({ row }) => row);
  for (const [backend, maxBufferBytes] of [["webgpu", 64 * 32 * 2], ["webgpu"], ["cpu"]]) {
    await ask("create", "g", { dim: 24, modelHash: "A", backend, maxBufferBytes });
    group.same("an empty index", await found("g"), []);
    let end = 0;
    for (const more of [1, 62, 1, 1, 100, 200, 5, 130]) {
      await get(ask, "g", "add", ids(rows).slice(end, end + more), rows.slice(end, end + more));
      end += more;
      group.same(
        `${end} rows`,
        await found("g"),
        right((row) => row < end),
      );
      await itself(end - 1);
    }
    const gone = (row) => row % 3 === 0 || row > 400;
    for (const row of rows.keys())
      if (gone(row)) group.same("remove", [await get(ask, "g", "remove", `i${row}`)], [true]);
    group.same("remove again", [await get(ask, "g", "remove", "i0")], [false]);
    group.same("no vector of what was removed", [await get(ask, "g", "vector", "i0")].flat(), []);
    group.same(
      "without what was removed",
      await found("g"),
      right((row) => !gone(row)),
    );
    group.rejects(
      "with it",
      await found("g"),
      right(() => true),
    );
    // More than half are gone: rows move.
    const most = (row) => gone(row) || row % 4 !== 1;
    for (const row of rows.keys()) if (most(row) && !gone(row)) await get(ask, "g", "remove", `i${row}`);
    group.same("size", [await get(ask, "g", "size")], [rows.filter((_, row) => !most(row)).length]);
    group.same(
      "with few left",
      await found("g"),
      right((row) => !most(row)),
    );
    for (const row of rows.keys()) if (!most(row) && row % 7 === 0) await itself(row);
    await get(ask, "g", "add", ["i0"], [rows[0]]);
    group.same(
      "and one that came back",
      await found("g"),
      right((row) => !most(row) || row === 0),
    );
    group.same("items", (await get(ask, "g", "items")).at(-1).id, "i0");
    // All at once: each search sees a state that there was.
    const outcomes = await ask("atOnce", "g", [
      ["search", query, { k: 500 }],
      ["remove", "i1"],
      ["search", query, { k: 500 }],
      ["add", ["i3"], [rows[3]]],
      ["nearDuplicates", 0.99],
      ["search", query, { k: 500 }],
    ]);
    group.same(
      "at once: errors",
      outcomes.flatMap(({ code }) => code ?? []),
      [],
    );
    group.same(
      "afterwards",
      await found("g"),
      right((row) => (!most(row) && row !== 1) || row === 0 || row === 3),
    );
  }
}

/** Ties, filters, least scores and metadata. */
async function choice({ ask, report }) {
  const group = report.group("ties, filters, least scores");
  const some = vectors(40, 16);
  // Every vector ten times, far apart.
  const rows = Array.from({ length: 400 }, (_, i) => some[i % 40]);
  for (const backend of ["webgpu", "cpu"]) {
    await ask("create", "c", { dim: 16, modelHash: "A", backend, maxBufferBytes: 64 * 16 * 2 });
    await get(
      ask,
      "c",
      "add",
      rows.map((_, i) => ({ id: `i${i}`, meta: { even: i % 2 === 0, place: [i] } })),
      rows,
    );
    const found = async (options) =>
      (await get(ask, "c", "search", some[7], options)).map(({ id }) => Number(id.slice(1)));
    const alikes = Array.from({ length: 10 }, (_, i) => 7 + 40 * i);
    group.same("equal scores in the order added", await found({ k: 10 }), alikes);
    group.same("and cut within", await found({ k: 4 }), alikes.slice(0, 4));
    group.rejects("from the end", await found({ k: 4 }), alikes.slice(-4));
    const even = nearest(rows.map(rounded), some[7], 12, (row) => row % 2 === 0).map(({ row }) => row);
    group.same("a filter", await found({ k: 12, filter: "item.meta.even" }), even);
    group.rejects("the other half", await found({ k: 12, filter: "!item.meta.even" }), even);
    group.same("a filter by id", await found({ filter: "item.id === 'i399'" }), [399]);
    group.same("a filter that nothing passes", await found({ filter: "false" }), []);
    group.same("a least score", await found({ k: 400, minScore: 0.999 }), alikes);
    group.same(
      "a least score and a filter",
      await found({ k: 400, minScore: 0.999, filter: "item.meta.place[0] > 100" }),
      alikes.slice(3),
    );
    group.same("a least score that nothing has", await found({ minScore: 1.1 }), []);
    group.same(
      "a hit",
      JSON.stringify(Object.keys((await get(ask, "c", "search", some[7], { k: 1 }))[0])),
      JSON.stringify(["id", "meta", "score"]),
    );
    group.same(
      "its metadata",
      JSON.stringify((await get(ask, "c", "search", some[7], { k: 1 }))[0].meta),
      JSON.stringify({ even: false, place: [7] }),
    );
  }
}

async function duplicates({ ask, report }) {
  const group = report.group("near duplicates");
  const rows = vectors(300, 12);
  for (const threshold of [0.6, 0.75, 0.85]) {
    const right = (format) =>
      JSON.stringify(
        alike(format === "int8" ? rows.map(rounded) : rows, threshold).map((rows) => rows.map((row) => `i${row}`)),
      );
    for (const [format, backend] of [
      ["f32", "webgpu"],
      ["int8", "webgpu"],
      ["int8", "cpu"],
    ]) {
      await make(ask, "d", rows, { format, backend, maxBufferBytes: 64 * 16 * 4 });
      const found = JSON.stringify(await get(ask, "d", "nearDuplicates", threshold));
      group.same(`${threshold}, ${format} on ${backend}`, found, right(format));
      group.rejects(
        "of another threshold",
        found,
        JSON.stringify(alike(rows, threshold + 0.01).map((rows) => rows.map((row) => `i${row}`))),
      );
    }
  }
  await make(
    ask,
    "d",
    [
      [1, 0],
      [0, 1],
      [0, 2],
      [1, 0.001],
      [-1, 0],
    ],
    { format: "f32" },
  );
  await get(ask, "d", "remove", "i3");
  group.same("one removed", JSON.stringify(await get(ask, "d", "nearDuplicates", 0.99)), '[["i1","i2"]]');
}

async function trouble({ ask, report }) {
  const group = report.group("errors");
  const expect = async (name, code, says, ...args) => {
    const outcome = await ask(...args);
    group.same(name, outcome.code ?? "no error", code);
    for (const word of says) group.holds(`${name}: says ${word}`, outcome.message?.includes(word), outcome.message);
  };
  await make(ask, "t", vectors(5, 4));
  const [one] = vectors(1, 4);
  const call = (name, code, says, ...args) => expect(name, code, says, "call", "t", ...args);
  await expect("no dim", "bad-input", ["dim"], "create", "x", { modelHash: "A" });
  await expect("no hash", "bad-input", ["modelHash"], "create", "x", { dim: 4 });
  await expect("an unknown backend", "bad-input", ["tpu"], "create", "x", { dim: 4, modelHash: "A", backend: "tpu" });
  await expect("an unknown format", "bad-input", ["int4"], "create", "x", { dim: 4, modelHash: "A", format: "int4" });
  await call("an id that is there", "bad-input", ['"i3"'], "add", ["new", "i3"], [one, one]);
  await call("an id twice", "bad-input", ['"new"'], "add", ["new", "new"], [one, one]);
  await call("an id that is a number", "bad-input", ["number"], "add", [{ id: 7 }], [one]);
  await call("too few vectors", "bad-input", ["2", "1"], "add", ["new", "newer"], [one]);
  await call("another dim", "bad-input", ["vectors[1]", "4", "3"], "add", ["new", "newer"], [one, [1, 2, 3]]);
  await call("zeros", "bad-input", ["vectors[0]", "zeros"], "add", ["new"], [[0, 0, 0, 0]]);
  await call("NaN", "bad-input", ["NaN"], "add", ["new"], [[0, NaN, 0, 0]]);
  await call("one id and not a list", "bad-input", ["array"], "add", "new", [one]);
  await call("another model's", "wrong-model", ["model A", "model B"], "add", ["new"], [one], { modelHash: "B" });
  await call("a query of another model", "wrong-model", ["model A", "model B"], "search", one, { modelHash: "B" });
  await call("a query of another dim", "bad-input", ["query", "4", "5"], "search", [1, 2, 3, 4, 5]);
  await call("words without a model", "bad-input", ["no model"], "search", "a cat");
  await call("k of 0", "bad-input", ["k:"], "search", one, { k: 0 });
  await call("a filter that throws", "bad-input", ["filter", "no.such"], "search", one, {
    filter: "(() => { throw new Error('no.such'); })()",
  });
  await call("a threshold that is none", "bad-input", ["threshold"], "nearDuplicates", NaN);
  await call("an unknown file", "bad-input", ["csv"], "export", "csv");
  group.same("nothing came of it", [await get(ask, "t", "size")], [5]);
  group.same("and it still works", (await get(ask, "t", "search", vectors(5, 4)[2], { k: 1 }))[0].id, "i2");
  group.rejects("a sound call", (await ask("call", "t", "search", one)).code ?? "no error", "bad-input");
  await get(ask, "t", "dispose");
  for (const [method, ...args] of [
    ["search", one],
    ["add", ["new"], [one]],
    ["remove", "i1"],
    ["nearDuplicates", 0.9],
    ["save", "t"],
    ["export", "npy"],
  ]) {
    await call(`${method} after dispose()`, "disposed", [], method, ...args);
  }
}

/** GPUs that are not there, or go away. */
async function lost({ ask, report }) {
  const group = report.group("GPUs that go away");
  const rows = vectors(200, 20);
  const [query] = vectors(1, 20, 3);
  const right = nearest(rows.map(rounded), query).map(({ row }) => `i${row}`);
  const found = (hits) => hits.value?.map(({ id }) => id) ?? [hits.message];
  await ask("createWithoutGpu", "l", { dim: 20, modelHash: "A" });
  group.same("none there", await get(ask, "l", "backend"), "cpu");
  group.same(
    "none there, but wanted",
    (await ask("createWithoutGpu", "l", { dim: 20, modelHash: "A", backend: "webgpu" })).code ?? "no error",
    "no-webgpu",
  );
  await ask("create", "l", { dim: 20, modelHash: "A" });
  group.same("one that is there", await get(ask, "l", "backend"), "webgpu");
  for (const [times, backend] of [
    [0, "webgpu"],
    [1, "webgpu"],
    [2, "cpu"],
  ]) {
    await make(ask, "l", rows);
    group.same(`lost ${times} times`, found(await ask("losing", times, "l", "search", query)), right);
    group.same("then it is", await get(ask, "l", "backend"), backend);
    group.same("and answers", found(await ask("call", "l", "search", query)), right);
    group.rejects("not with the worst", found(await ask("call", "l", "search", query)), right.toReversed());
  }
}
