// Networks and servers fail: a load gets over it, or says so, leaves nothing behind, and the next one works.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { model, withLoading } from "../lib/loading.mjs";

const MODEL = "siglip2";
const WEIGHTS = "model.safetensors";

const only = (name, fault) => (request) => (request.name === name && request.method === "GET" ? fault(request) : {});
const once = (name, fault) => only(name, ({ count }) => (count === 1 ? fault : {}));

export async function faults(test) {
  const { browser, server, report, fixtures, site, native } = test;
  const group = report.group("what a load gets over");
  await withLoading({ browser, server, group }, fixtures.model(MODEL), async (here) => {
    const source = model(here.files.url);
    const plain = await here.load("sound", source, { cache: false });
    const expected = plain.value?.embeddings;
    group.holds("sound", expected, plain.message);
    await recovers({ ...here, group, source, expected });
    await fails({ ...here, group: report.beside("what a load does not get over"), source, expected });
    await resumes({ ...here, group: report.beside("a load that broke off goes on"), source, expected });
  });
  native.quantize(fixtures.model(MODEL), site.path("judged"), "q8");
  const flipped = report.group("a byte changed on its way");
  await withLoading({ browser, server, group: flipped }, site.path("judged"), (here) =>
    flips({ ...here, group: flipped }),
  );
}

async function recovers({ files, load, group, source, expected }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  const cases = [];
  for (let tenth = 0; tenth < 10; tenth++)
    cases.push([`cut after ${tenth} tenths`, once(WEIGHTS, { cut: Math.floor((size * tenth) / 10) })]);
  cases.push(
    ["cut every 20,000 bytes", only(WEIGHTS, () => ({ cut: 20_000 }))],
    ["the tokenizer, cut", once("tokenizer.json", { cut: 1000 })],
    ["dropped", once(WEIGHTS, { drop: true })],
    ["HTTP 500 once", once(WEIGHTS, { status: 500 })],
    ["HTTP 503 for config.json once", once("config.json", { status: 503 })],
    ["HTTP 429 once", once("tokenizer.json", { status: 429 })],
    ["slow", only(WEIGHTS, () => ({ slow: 10 }))],
  );
  for (const [what, fault] of cases) {
    files.reset();
    files.fault = fault;
    const { value, message } = await load(what, source, { cache: false });
    group.same(what, value?.embeddings ?? message, expected);
    if (!what.startsWith("cut")) continue;
    const weights = files.sent.filter(({ name }) => name === WEIGHTS);
    // Where a connection breaks, some of what was sent may not have arrived.
    group.holds(
      `${what}: goes on from there`,
      weights.slice(1).every(({ start }) => start > 0 || what === "cut after 0 tenths"),
      weights.map(({ range }) => range).join(),
    );
  }
  for (const towers of ["vision", "text"]) {
    files.reset();
    files.fault = once(WEIGHTS, { cut: 5 });
    const { value, message } = await load(`${towers}, cut`, source, { cache: false, towers });
    group.holds(`${towers}, cut in the header`, value, message);
  }
  group.rejects("other numbers", "[]", expected);
}

async function fails({ files, load, group, source, expected }) {
  const cases = [
    ["HTTP 404 for config.json", "not-found", only("config.json", () => ({ status: 404 }))],
    ["HTTP 404 for the weights", "not-found", only(WEIGHTS, () => ({ status: 404 }))],
    ["HTTP 403", "not-found", only(WEIGHTS, () => ({ status: 403 }))],
    ["HTTP 500 always", "not-found", only(WEIGHTS, () => ({ status: 500 }))],
    ["HTTP 500 for config.json always", "not-found", only("config.json", () => ({ status: 500 }))],
    ["a page", "not-found", only(WEIGHTS, () => ({ html: true }))],
    ["cut at once, always", "not-found", only(WEIGHTS, () => ({ cut: 0 }))],
    [
      "cut, then dropped always",
      "not-found",
      only(WEIGHTS, ({ count }) => (count === 1 ? { cut: 90_000 } : { drop: true })),
    ],
    [
      "another file after a cut",
      "bad-checkpoint",
      only(WEIGHTS, ({ count }) => (count === 1 ? { cut: 90_000 } : { flip: 5 })),
    ],
  ];
  for (const store of [undefined, "fails"]) {
    for (const [what, code, fault] of cases) {
      const options = { cache: store ? { store: `${store} ${what}` } : false };
      files.reset();
      files.fault = fault;
      const failed = await load(what, source, options);
      group.same(what, failed.code ?? "no error", code);
      group.holds(`${what}: a sentence`, failed.message?.length > 40, failed.message);
      files.reset();
      const next = await load(`after ${what}`, source, options);
      group.same(`after ${what}`, next.value?.embeddings ?? next.message, expected);
      group.rejects(`after ${what}: an error`, next.code ?? "no error", code);
    }
  }
}

/** What arrived before a connection was gone for good is not fetched again. */
async function resumes({ page, files, load, group, source, expected }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  for (const tenths of [3, 6, 9]) {
    const what = `broken off at ${tenths} tenths`;
    const options = { cache: { store: what } };
    // A tensor that has arrived in part is fetched whole later.
    const enough = size * (tenths / 10 - 0.25);
    const until = () => page.waitForFunction(([name, least]) => loading.kept(name) >= least, [what, enough]);
    files.reset();
    files.fault = only(WEIGHTS, ({ count }) =>
      count === 1 ? { cut: Math.floor((size * tenths) / 10), until } : { drop: true },
    );
    const broken = await load(what, source, options);
    group.same(what, broken.code ?? "no error", "not-found");
    files.reset();
    const next = await load(`after ${what}`, source, options);
    group.same(`after ${what}: embeddings`, next.value?.embeddings ?? next.message, expected);
    const bytes = files.sent.filter(({ name }) => name === WEIGHTS).reduce((sum, request) => sum + request.bytes, 0);
    group.holds(`after ${what}: only the rest`, bytes <= size - enough + 40_000, `${bytes} of ${size}`);
    group.same(
      `after ${what}: the other files`,
      files.sent
        .filter(({ name, bytes }) => ![WEIGHTS, "tokenizer.json"].includes(name) && bytes > 0)
        .map(({ name }) => name),
      [],
    );
    group.rejects(`after ${what}: an error`, next.code ?? "no error", "not-found");
  }
}

async function flips({ files, load, group }) {
  const source = model(files.url);
  const expected = (await load("sound", source, { cache: false })).value?.embeddings ?? "";
  const { files: listed } = JSON.parse(readFileSync(join(files.folder, "manifest.json")));
  const names = Object.keys(listed).filter((name) => name.endsWith(".safetensors") || name === "tokenizer.json");
  for (const name of names) {
    const options = { cache: { store: `flipped ${name}` } };
    files.reset();
    files.fault = only(name, () => ({ flip: listed[name].size - 2 }));
    const flipped = await load(name, source, options);
    group.same(name, flipped.code ?? "no error", "bad-checkpoint");
    files.reset();
    const next = await load(`after ${name}`, source, options);
    group.same(`after ${name}`, next.value?.embeddings ?? next.message, expected);
    group.rejects(`after ${name}: an error`, next.code ?? "no error", "bad-checkpoint");
  }
}

/** A load can be stopped at any time. */
export async function abort({ browser, server, report, fixtures }) {
  const group = report.group("a load that is stopped");
  await withLoading({ browser, server, group }, fixtures.model("clip"), async ({ page, files, load }) => {
    const source = model(files.url);
    const options = { cache: { store: "stopped" } };
    // The kernels race in the first load on a device that the page does not know.
    await page.evaluate(() => localStorage.clear());
    await page.reload();
    await page.waitForFunction("globalThis.loading");
    const cases = [
      ["race", {}],
      ["before", {}],
      ["first", {}],
      ["weights", {}],
      [0.3, only(WEIGHTS, () => ({ slow: 5 }))],
      [0.9, only(WEIGHTS, () => ({ slow: 5 }))],
      ["ready", {}],
      // While it waits to try again.
      ["soon", only(WEIGHTS, () => ({ status: 500 }))],
    ];
    for (const [when, fault] of cases) {
      files.reset();
      if (typeof fault === "function") files.fault = fault;
      const stopped = await load(`stopped: ${when}`, source, when === "ready" ? { cache: false } : options, when);
      group.same(`${when}`, stopped.code ?? "no error", "aborted");
    }
    files.reset();
    const next = await load("afterwards", source, options);
    group.holds("the next load works", next.value, next.message);
    group.holds(
      "and goes on from what has arrived",
      next.value?.downloadBytes < readFileSync(join(files.folder, WEIGHTS)).length * 0.5,
      next.value?.downloadBytes,
    );
    group.rejects("a load that is not stopped", next.code ?? "no error", "aborted");
  });
}
