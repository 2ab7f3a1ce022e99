// Servers are not all alike, nor are the addresses that people have: what a load makes of them, and what it keeps.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hubPaths } from "../lib/faults.mjs";
import { full } from "../lib/full.mjs";
import { model, withLoading } from "../lib/loading.mjs";
import { serve } from "../lib/server.mjs";

const WEIGHTS = "model.safetensors";
const COMMIT = "c".repeat(40);
/** Visits to one folder, each with another signature. */
const VISITS = full ? 10 : 3;

const gets = (files, name = WEIGHTS) => files.sent.filter((sent) => sent.name === name && sent.method === "GET");
/** Numbers are compared with the CPU's own: that they are right is others' to show. */
const CPU = { backend: "cpu" };
const OFF = { ...CPU, cache: false };
const own = (store) => ({ ...CPU, cache: { store } });

export async function servers(test) {
  const { browser, server, report, fixtures, site } = test;
  const parts = { ranges, compressed, signed, moving, refused, addresses, together, vanished };
  const only = process.env.OCELLI_SERVERS?.split(",") ?? [...Object.keys(parts), "sandboxed"];
  for (const [name, part] of Object.entries(parts)) {
    if (!only.includes(name)) continue;
    const group = report.group(`servers: ${name}`);
    const hub =
      name === "addresses" || name === "refused" ? hubPaths(undefined, { main: COMMIT, v2: COMMIT }) : undefined;
    await withLoading(
      { browser, server, group },
      fixtures.model("clip"),
      async (here) => {
        const source = model(here.files.url);
        const plain = await here.load("sound", source, OFF);
        group.holds("sound", plain.value, plain.message);
        const same = (what, { value, code, message }) =>
          group.same(what, value?.embeddings ?? `${code}: ${message}`, plain.value?.embeddings ?? "");
        here.files.reset();
        await part({ ...here, browser, site, group, source, same, expected: plain.value?.embeddings });
      },
      { hub },
    );
  }
  if (only.includes("sandboxed")) await sandboxed(test);
}

/** Status 200 for a range: the whole file, or the range alone, with headers that say little. */
async function ranges({ site, files, load, group, source, same }) {
  const size = readFileSync(join(files.folder, WEIGHTS)).length;
  const vision = (await load("vision", source, { ...OFF, towers: "vision" })).value?.embeddings ?? "";
  const kinds = {
    "knows no ranges": { whole: true },
    "knows no ranges, says no length": { whole: true, silent: true },
    "the range with 200": { bare: true },
    "the range with 200, says no length": { bare: true, silent: true },
  };
  for (const [what, fault] of Object.entries(kinds)) {
    files.reset();
    files.fault = ({ name }) => (name === WEIGHTS ? fault : {});
    same(`${what}: both`, await load(what, source, OFF));
    same(`${what}: text`, await load(what, source, { ...OFF, towers: "text" }));
    const image = await load(what, source, { ...OFF, towers: "vision" });
    group.same(`${what}: vision`, image.value?.embeddings ?? image.message, vision);
    const rows = await load(what, source, { ...OFF, tokenTable: "server" });
    if (fault.bare) same(`${what}: rows of the token table`, rows);
    else group.same(`${what}: rows of the token table`, rows.code ?? "no error", "not-found");
    if (fault.whole) group.holds(`${what}: says so`, /whole file/.test(rows.message), rows.message);
    // What breaks off goes on, from where the server can.
    files.reset();
    files.fault = ({ name, count }) => (name === WEIGHTS ? { ...fault, ...(count === 1 && { cut: 90_000 }) } : {});
    same(`${what}: cut`, await load(`${what}, cut`, source, OFF));
    files.reset();
    files.fault = ({ name, count }) => (name === WEIGHTS ? { ...fault, ...(count === 1 && { cut: 5 }) } : {});
    same(`${what}: cut in the header`, await load(`${what}, cut in the header`, source, { ...OFF, towers: "text" }));
    // Kept pieces of a file are gone, so that the first range is one in its middle.
    files.reset();
    files.fault = ({ name }) => (name === WEIGHTS ? fault : {});
    await load(`${what}, one tower`, source, { ...own(what), towers: "text" });
    same(`${what}: the rest of a file`, await load(`${what}, the rest`, source, own(what)));
  }
  const whole = files.folder;
  for (const bytes of [size - 1, size >> 1]) {
    files.reset();
    files.fault = () => ({ bare: true, silent: true });
    files.folder = cutFolder(whole, site.path(`cut-${bytes}`), bytes);
    // The picture tower is at the end of the file.
    for (const towers of ["both", "vision"]) {
      const { code } = await load(`${bytes} bytes, ${towers}`, source, { ...OFF, towers });
      group.same(`${bytes} of ${size} bytes, ${towers}`, code ?? "no error", "bad-checkpoint");
    }
  }
  group.rejects("a sound file", "no error", "bad-checkpoint");
}

/** A copy of a model's folder whose weights end too early. */
function cutFolder(folder, copy, bytes) {
  cpSync(folder, copy, { recursive: true });
  writeFileSync(join(copy, WEIGHTS), readFileSync(join(folder, WEIGHTS)).subarray(0, bytes));
  return copy;
}

/** A compressed body from another origin: its length is not the file's, and nothing says so. */
async function compressed({ site, files, load, group, source, same }) {
  // Level 0 only wraps: the body is longer than the file.
  for (const gzip of [9, 0]) {
    for (const more of [{}, { whole: true }, { silent: true }]) {
      const what = `gzip -${gzip} ${JSON.stringify(more)}`;
      files.reset();
      files.fault = () => ({ gzip, ...more });
      for (const [how, options] of [
        ["", OFF],
        [", in a worker", { ...OFF, worker: true }],
        [", own fetch for a worker", { ...OFF, worker: true, authorization: "Bearer mine" }],
        [", kept", own(what)],
        [", kept, again", own(what)],
        [", one tower", { ...OFF, towers: "text" }],
      ])
        same(`${what}${how}`, await load(what + how, source, options));
      files.reset();
      files.fault = ({ name, count }) => ({ gzip, ...more, ...(name === WEIGHTS && count === 1 && { cut: 90_000 }) });
      same(`${what}, cut`, await load(`${what}, cut`, source, OFF));
    }
  }
  const cut = cutFolder(files.folder, site.path("cut"), 100_000);
  files.reset();
  files.folder = cut;
  files.fault = () => ({ gzip: 9 });
  const broken = await load("broken", source, OFF);
  group.same("a broken file", broken.code ?? "no error", "bad-checkpoint");
  group.rejects("a sound file", broken.code ?? "no error", "no error");
}

/** A folder with a query, and files whose signatures change. */
async function signed({ page, files, load, group, same }) {
  const open = () => ({});
  const asks = (query) => (request) => (request.search === query ? {} : { status: 403 });
  const folder = (query) => ({ form: "address", folder: `${files.url}models/clip${query}` });
  const query = "?sv=2024-01-01&sr=c&sig=abc%2Bdefghijklmnop";
  files.fault = asks(query);
  same("a folder with a query", await load("a folder with a query", folder(query), own("folder")));
  same("a folder with a query, worker", await load("in a worker", folder(query), { ...OFF, worker: true }));
  const wrong = await load("another signature", folder("?sig=secretsecretsecret&v=1"), OFF);
  group.same("another signature", wrong.code ?? "no error", "not-found");
  group.holds(
    "another signature: says what was asked for",
    wrong.message?.includes(`${files.url}models/clip/config.json`) && wrong.message.includes("?sig=…&v=1"),
    wrong.message,
  );
  group.holds("another signature: keeps the secret", !wrong.message?.includes("secret"), wrong.message);
  group.holds("another signature: what to do", /sign it again/.test(wrong.message), wrong.message);
  const kept = async (options) => page.evaluate((o) => loading.cached(o), options);
  const size = (await kept(own("folder")))[0]?.bytes;
  group.same(
    "what is kept of a folder",
    (await kept(own("folder"))).map(({ url }) => url),
    [`${files.url}models/clip/`],
  );
  const forms = {
    "S3": (visit) => `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=${visit}&X-Amz-Signature=${visit}`,
    "Azure": (visit) => `sv=2024-01-01&se=${visit}&sr=b&sp=r&sig=${visit}`,
    "Google": (visit) => `X-Goog-Expires=60&X-Goog-Signature=${visit}`,
    "CloudFront": (visit) => `Expires=${visit}&Signature=${visit}&Key-Pair-Id=K`,
    "a token": (visit) => `alt=media&token=${visit}`,
    "unknown": (visit) => `h=${visit}`,
  };
  for (const [what, queryOf] of Object.entries(forms)) {
    for (const form of ["signed", "address"]) {
      const options = own(`${what}, ${form}`);
      files.fault = open;
      for (let visit = 1; visit <= VISITS; visit++) {
        files.sent.length = 0;
        // Addresses of S3 are signed for GET alone.
        if (what === "S3") files.fault = ({ method }) => (method === "HEAD" ? { status: 403 } : {});
        const source =
          form === "signed"
            ? { form, folder: files.url, query: queryOf(visit) }
            : { form, folder: `${files.url}?${queryOf(visit)}` };
        const { value, message } = await page.evaluate(([s, o]) => loading.loadOnly(s, o), [source, options]);
        const again = visit > 1 && what !== "unknown";
        group.holds(`${what}, ${form}, visit ${visit}`, again ? value === 0 : value > 0, message ?? value);
      }
      const entries = await kept(options);
      group.same(
        `${what}, ${form}: one copy`,
        entries.map(({ bytes }) => String(bytes)),
        [String(size)],
      );
      group.rejects(
        `${what}, ${form}: a copy for each visit`,
        entries.map(({ bytes }) => String(bytes)),
        [String(size * VISITS)],
      );
    }
  }
  files.fault = open;
  // What a query names is another file, whatever the server says of its version.
  files.etag = false;
  const named = own("named");
  await load("one name", { form: "address", folder: `${files.url}?v=1` }, named);
  files.folder = files.folder.replace(/clip$/, "clip-eos");
  const next = await load("another name", { form: "address", folder: `${files.url}?v=2` }, named);
  const fresh = await load("another name, fresh", { form: "address", folder: `${files.url}?v=2` }, OFF);
  group.same("another version by its query", next.value?.embeddings ?? next.message, fresh.value?.embeddings ?? "");
}

/** Addresses that mean something on this visit only, and redirects. */
async function moving({ page, files, load, group, source, same }) {
  for (const form of ["blob addresses", "data addresses"]) {
    same(form, await load(form, { ...source, form }, own(form)));
    group.same(`${form}: are not kept`, await page.evaluate((n) => loading.keys(n), form), []);
  }
  await load("kept", source, own("kept"));
  group.rejects("an address", await page.evaluate((n) => loading.keys(n), "kept"), []);
  // The folder moves on, from one place to the next.
  let place = "a";
  files.hub = (path) => (path.startsWith("/latest/") ? { location: `${files.url}${place}${path.slice(7)}` } : {});
  const latest = { form: "address", folder: `${files.url}latest/` };
  for (place of ["a", "b", "c"])
    same(`redirected to ${place}`, await load(`redirected to ${place}`, latest, own("moved")));
  const kept = await page.evaluate((o) => loading.cached(o), own("moved"));
  group.same(
    "redirected: one copy",
    kept.map(({ url }) => url),
    [latest.folder],
  );
  files.hub = (path) => (path.startsWith("/login/") ? {} : { location: `${files.url}login${path}` });
  files.fault = ({ path }) => (path.startsWith("/login/") ? { html: true } : {});
  const login = await load("a login page", source, own("login"));
  group.same("redirected to a login page", login.code ?? "no error", "not-found");
  group.same("a failed load keeps nothing", await page.evaluate((n) => loading.keys(n), "login"), []);
}

/** Who may not read says so, and what fails leaves nothing. */
async function refused({ page, files, load, group, source }) {
  const hub = { form: "address", folder: "hf:owner/clip" };
  const cases = [
    ["the hub, 401", hub, 401, "gated", /gated or private.*licence.*owner\/clip.*accessToken/s],
    ["the hub, 403", hub, 403, "gated", /gated or private.*licence.*owner\/clip.*accessToken/s],
    ["the hub, 404", hub, 404, "not-found", /which files there are/],
    ["a server, 401", source, 401, "not-found", /option fetch.*credentials/s],
    ["a server, 403", source, 403, "not-found", /option fetch.*credentials/s],
    ["a server, 404", source, 404, "not-found", /The folder must hold config\.json/],
  ];
  for (const [what, from, status, expected, words] of cases) {
    files.reset();
    files.fault = () => ({ status });
    const { code, message } = await load(what, from, { ...own(what), endpoint: files.url });
    group.same(what, code ?? "no error", expected);
    group.holds(`${what}: says what to do`, words.test(message) && message.includes(`HTTP ${status}`), message);
    group.rejects(`${what}: an error without a word`, String(words.test("found HTTP 401.")), "true");
    group.same(`${what}: is not kept`, await page.evaluate((n) => loading.keys(n), what), []);
  }
  files.reset();
  const sound = await load("with a token", hub, { ...own("token"), endpoint: files.url, authorization: "Bearer mine" });
  group.holds("with a token", sound.value, sound.message);
  // In the middle of a load, and where one file is missing.
  files.fault = ({ name }) => (name === WEIGHTS ? { status: 404 } : {});
  const missing = await load("no weights", source, own("no weights"));
  group.same("no weights", missing.code ?? "no error", "not-found");
  group.same("no weights: nothing is kept", await page.evaluate((n) => loading.keys(n), "no weights"), []);
}

/** What people paste. */
async function addresses({ page, files, load, group, same }) {
  const options = { ...OFF, endpoint: files.url };
  const paths = () => [...new Set(files.sent.map(({ path }) => path.slice(0, path.lastIndexOf("/") + 1)))].sort();
  const at = (folder) => `/owner/clip/resolve/${folder}`;
  const kinds = {
    "hf:owner/clip": ["main/", `${COMMIT}/`],
    "hf://owner/clip": ["main/", `${COMMIT}/`],
    "hf:owner/clip@v2": ["v2/", `${COMMIT}/`],
    "hf:owner/clip/sub/folder": ["main/sub/folder/", `${COMMIT}/sub/folder/`],
    "hf:owner/clip@v2/sub/": ["v2/sub/", `${COMMIT}/sub/`],
    "hf:owner/clip@refs/pr/1": ["refs/pr/1/", "refs/pr/1/"],
    "https://huggingface.co/owner/clip": ["main/", `${COMMIT}/`],
    "https://huggingface.co/owner/clip/": ["main/", `${COMMIT}/`],
    "https://hf.co/owner/clip?library=transformers": ["main/", `${COMMIT}/`],
    "https://huggingface.co/owner/clip/tree/main": ["main/", `${COMMIT}/`],
    "https://huggingface.co/owner/clip/tree/v2/sub": ["v2/sub/", `${COMMIT}/sub/`],
    "https://huggingface.co/owner/clip/blob/main/config.json": ["main/", `${COMMIT}/`],
    "https://huggingface.co/owner/clip/blob/main/sub/model.safetensors": ["main/sub/", `${COMMIT}/sub/`],
    "https://huggingface.co/owner/clip/resolve/main/config.json?download=true": ["main/", `${COMMIT}/`],
    [`${files.url}owner/clip/tree/main/sub`]: ["main/sub/", `${COMMIT}/sub/`],
  };
  for (const [folder, folders] of Object.entries(kinds)) {
    files.reset();
    same(folder, await load(folder, { form: "address", folder }, options));
    group.same(`${folder}: where`, paths(), [...new Set(folders.map(at))].sort());
  }
  for (const folder of ["hf:", "hf:a/../b", "hf:a b/c", "hf:owner/clip@", "hf:owner/cl ip", "hf:owner/clip?x"]) {
    const { code } = await load(folder, { form: "address", folder }, options);
    group.same(folder, code ?? "no error", "bad-input");
  }
  const kept = own("sub");
  await load("a subfolder, kept", { form: "address", folder: "hf:owner/clip/sub" }, { ...kept, endpoint: files.url });
  const urls = async () => (await page.evaluate((o) => loading.cached(o), kept)).map(({ url }) => url);
  group.same("a subfolder: what is kept", await urls(), [`${files.url}owner/clip/resolve/${COMMIT}/sub/`]);
  await page.evaluate(([o, e]) => loading.clear("hf:owner/clip/other", { ...o, endpoint: e }), [kept, files.url]);
  group.rejects("another subfolder is cleared", await urls(), []);
  await page.evaluate(([o, e]) => loading.clear("hf:owner/clip/sub", { ...o, endpoint: e }), [kept, files.url]);
  group.same("a subfolder is cleared", await urls(), []);
  for (const [folder, hint] of [
    ["google/siglip-base", "hf:google/siglip-base"],
    ["google/siglip-base/", "hf:google/siglip-base"],
    ["google/siglip-base/tree/main/sub", "hf:google/siglip-base@main/sub"],
    ["./google/siglip-base", undefined],
    ["/google/siglip-base", undefined],
  ]) {
    const { code, message } = await load(folder, { form: "address", folder }, OFF);
    group.same(folder, code ?? "no error", "not-found");
    const [, found] = /"(hf:[^"]*)"/.exec(message) ?? [];
    group.same(`${folder}: hint`, String(found), String(hint));
  }
}

/** Loads of one folder at once. */
async function together({ browser, page: opened, files, group, source, expected }) {
  const context = await browser.newContext();
  const open = async () => {
    const page = await context.newPage();
    await page.goto(opened.url());
    await page.waitForFunction("globalThis.loading");
    return page;
  };
  const page = await open();
  const [numbers] = JSON.parse(expected).map((embedding) => JSON.stringify(embedding));
  const ask = (where, all) => where.evaluate(([s, a]) => loading.together(s, a), [source, all]);
  const right = (what, answers, count) =>
    group.same(
      what,
      answers.map(({ value, code }) => value ?? code),
      Array(count).fill(numbers),
    );
  const downloads = () => String(gets(files).filter(({ bytes }) => bytes > 100_000).length);
  const start = (fault = {}) => {
    files.reset();
    files.fault = ({ name, count }) => (name === WEIGHTS && count === 1 ? fault : {});
    return page.evaluate(() => loading.clear());
  };
  for (const [what, options] of [
    ["in a page", {}],
    ["in workers", { worker: true }],
    ["opfs", { cache: "opfs" }],
    ["an adapter", { cache: { store: "shared" } }],
  ]) {
    await start({ slow: 5 });
    if (options.cache) await page.evaluate((o) => loading.clear(undefined, o), options);
    right(what, await ask(page, Array(3).fill({ ...CPU, ...options })), 3);
    group.same(`${what}: downloads`, downloads(), "1");
  }
  await start({ slow: 5 });
  right("without a cache", await ask(page, Array(2).fill(OFF)), 2);
  group.rejects("without a cache: one download", downloads(), "1");
  const tab = await open();
  await start({ slow: 5 });
  right("tabs", (await Promise.all([ask(page, [CPU]), ask(tab, [CPU])])).flat(), 2);
  group.same("tabs: downloads", downloads(), "1");
  await start({ slow: 20 });
  const [stopped, other] = await ask(page, [{ ...CPU, stop: 300 }, CPU]);
  group.same("one is stopped", stopped.code ?? "no error", "aborted");
  right("one is stopped: the other", [other], 1);
  await start({ slow: 20 });
  const [first, waits] = await ask(page, [CPU, { ...CPU, stop: 300 }]);
  group.same("the one that waits is stopped", waits.code ?? "no error", "aborted");
  right("the one that waits is stopped: the other", [first], 1);
  // The tab that loads is closed.
  await start({ slow: 50 });
  const closing = ask(tab, [CPU]).catch(() => "closed");
  while (gets(files).length === 0) await page.waitForTimeout(20);
  const after = ask(page, [CPU]);
  await page.waitForTimeout(200);
  await tab.close();
  await closing;
  right("a tab that is closed", await after, 1);
  // The one that loads is stuck.
  await start({ stall: true });
  const [stuck, free] = await ask(page, [{ ...CPU, stop: 60_000 }, CPU]);
  group.same("stuck", stuck.code ?? "no error", "aborted");
  right("stuck: the other", [free], 1);
  group.holds("stuck: the other does not wait for its end", free.ms < 50_000 && stuck.ms >= 60_000, free.ms);
  await context.close();
}

/** What was kept is gone, or broken, when it is read. */
async function vanished({ page, files, load, group, source, same }) {
  const first = await load("first", source, own("vanishes"));
  const pieces = (await page.evaluate((n) => loading.keys(n), "vanishes")).filter((key) => key.includes(`${WEIGHTS}#`));
  group.holds("first", first.value, first.message);
  for (const [what, harm] of [
    ["cleared at once", () => page.evaluate((n) => loading.vanish(n, 1), "vanishes")],
    ["cleared meanwhile", () => page.evaluate((n) => loading.vanish(n, 20), "vanishes")],
    ["cut", () => page.evaluate((n) => loading.truncate(n), "vanishes")],
  ]) {
    files.reset();
    await page.evaluate((n) => loading.vanish(n, Infinity), "vanishes");
    await load(`${what}: kept`, source, own("vanishes"));
    await harm();
    files.reset();
    same(what, await load(what, source, own("vanishes")));
    await page.evaluate((n) => loading.vanish(n, Infinity), "vanishes");
    group.holds(`${what}: requests`, gets(files).length <= 3, gets(files).length);
    group.rejects(`${what}: one for each of the pieces`, String(gets(files).length), String(pieces.length));
  }
  await page.evaluate((n) => loading.breakStore(n), "vanishes");
  same("a store that fails", await load("a store that fails", source, own("vanishes")));
  const said = await page.evaluate((o) => loading.inventory(o), own("vanishes"));
  group.same("a store that fails: cached()", said.cached.code ?? "no error", "storage");
  group.same("a store that fails: clear()", said.clear.code ?? "no error", "storage");
  group.holds("a store that fails: storage()", said.storage.value, said.storage.message);
  group.rejects("a store that works", said.cached.code ?? "no error", "no error");
}

/** A frame without an origin may store nothing, and even a look at `caches` throws. */
async function sandboxed({ browser, report, fixtures, site, root }) {
  const group = report.group("servers: a sandboxed frame");
  const mounts = { "/site/": site.folder, "/page/": join(root, "tests/web/page"), "/fixtures/": fixtures.folder };
  const open = await serve(mounts, { "access-control-allow-origin": "*" });
  const page = await browser.newPage();
  try {
    await page.goto(`${open.url}page/loading.html`);
    await page.waitForFunction("globalThis.loading");
    const source = model(`${open.url}fixtures/clip/`);
    const expected = (await page.evaluate(([s, o]) => loading.load(s, o), [source, OFF])).value?.embeddings;
    group.holds("the page", expected);
    await page.evaluate((src) => {
      document.body.append(Object.assign(document.createElement("iframe"), { sandbox: "allow-scripts", src }));
    }, page.url());
    while (page.frames().length < 2) await page.waitForTimeout(20);
    const frame = page.frames()[1];
    await frame.waitForFunction("globalThis.loading");
    group.same(
      "caches",
      await frame.evaluate(() => {
        try {
          return String(caches);
        } catch (error) {
          return error.name;
        }
      }),
      "SecurityError",
    );
    for (const options of [CPU, { ...CPU, cache: "opfs" }, OFF]) {
      const what = JSON.stringify(options);
      const { value, message } = await frame.evaluate(([s, o]) => loading.load(s, o), [source, options]);
      group.same(what, value?.embeddings ?? message, expected);
    }
    for (const cache of [true, "opfs"]) {
      const { cached, clear, storage } = await frame.evaluate((o) => loading.inventory(o), { cache });
      group.same(`cached(), ${cache}`, JSON.stringify(cached), JSON.stringify({ value: [] }));
      group.same(`clear(), ${cache}`, JSON.stringify(clear), JSON.stringify({ value: "done" }));
      group.holds(`storage(), ${cache}`, storage.value && storage.value.persisted === false, JSON.stringify(storage));
    }
    const kept = await page.evaluate(([s, o]) => loading.load(s, o).then(() => loading.inventory(o)), [source, CPU]);
    group.rejects("what a page keeps", JSON.stringify(kept.cached), JSON.stringify({ value: [] }));
  } finally {
    await page.close();
    open.close();
  }
}
