// A model from everywhere: addresses, files, folders of the user's own, and the Hugging Face hub.
import { hubPaths, serveFaults } from "../lib/faults.mjs";
import { troubles, withLoading } from "../lib/loading.mjs";

const FORMS = [
  "URL",
  "address without its slash",
  "Blobs",
  "ArrayBuffers",
  "Uint8Arrays",
  "addresses",
  "URLs",
  "Blobs and addresses",
  "Files",
  "Files of a folder",
  "FileList",
  "directory handle",
];
const COMMITS = { main: "a".repeat(40), next: "b".repeat(40) };

export async function sources({ browser, server, report, fixtures }) {
  const group = report.group("a model from every source");
  let expected, ids;
  await withLoading({ browser, server, group }, fixtures.model("clip"), async ({ page, files, load }) => {
    const address = { form: "address", folder: files.url };
    const first = await load("address", address, { cache: false });
    expected = first.value?.embeddings;
    group.holds("address", expected, first.message);
    group.rejects("progress reversed", troubles([...first.progress].reverse()), []);
    group.rejects("progress without its end", troubles(first.progress.slice(0, -1)), []);
    ids = (await page.evaluate((s) => loading.tokens(s, { cache: false }), address)).value;
    for (const form of FORMS) {
      const source = { form, folder: files.url };
      const { value, code, message } = await load(form, source, { cache: false });
      group.same(`${form}: embeddings`, value?.embeddings ?? `${code}: ${message}`, expected);
      group.same(
        `${form}: tokens`,
        (await page.evaluate((s) => loading.tokens(s, { cache: false }), source)).value ?? [],
        ids,
      );
    }
    const server_ = await load(
      "the token table in a file",
      { form: "Blobs", folder: files.url },
      { tokenTable: "server" },
    );
    group.same("the token table in a file: embeddings", server_.value?.embeddings ?? server_.message, expected);
    for (const [form, code] of [
      ["without weights", "not-found"],
      ["a number", "bad-input"],
      ["nothing", "bad-input"],
    ]) {
      group.same(form, (await load(form, { form, folder: files.url }, { cache: false })).code ?? "no error", code);
    }
    group.same("cache: disk", (await load("cache: disk", address, { cache: "disk" })).code ?? "no error", "bad-input");
    for (const form of ["URLs", "Files of a folder", "FileList", "directory handle"]) {
      const there = await load(`${form} in a worker`, { form, folder: files.url }, { worker: true, cache: false });
      group.same(`${form} in a worker`, there.value?.embeddings ?? there.message, expected);
    }
    for (const worker of [false, true]) await ownFetch({ files, load, group, address, expected, worker });
  });
  await hub({ browser, server, report, fixtures, expected });
}

/** A `fetch` of the user's own makes every request, in the page also for a worker, and what goes wrong with it is got over or told. */
async function ownFetch({ files, load, group, address, expected, worker }) {
  const where = worker ? "fetch for a worker" : "fetch";
  const options = { cache: false, worker, authorization: "Bearer mine" };
  const only = (fault) => (request) =>
    request.name === "model.safetensors" && request.method === "GET" ? fault(request) : {};
  files.reset();
  const mine = await load(where, address, options);
  group.same(`${where}: embeddings`, mine.value?.embeddings ?? mine.message, expected);
  const asked = files.sent.filter(({ method }) => method !== "OPTIONS");
  group.same(
    `${where}: without the header`,
    asked.filter(({ authorization }) => authorization !== "Bearer mine").map(({ name }) => name),
    [],
  );
  group.holds(`${where}: was used`, asked.length > 0);
  files.reset();
  // The header has its preflight, which counts as a request as well.
  let broken = false;
  files.fault = only(() => (broken ? {} : ((broken = true), { cut: 90_000 })));
  const cut = await load(`${where}, cut`, address, options);
  group.same(`${where}, cut: embeddings`, cut.value?.embeddings ?? cut.message, expected);
  group.holds(
    `${where}, cut: goes on from there`,
    files.sent.some(({ name, start }) => name === "model.safetensors" && start > 0),
  );
  files.reset();
  files.fault = only(() => ({ slow: 5 }));
  for (const when of ["first", 0.3]) {
    const stopped = await load(`${where}, stopped`, address, options, when);
    group.same(`${where}, stopped: ${when}`, stopped.code ?? "no error", "aborted");
  }
  files.reset();
  const throws = await load(`${where} that throws`, address, { ...options, authorization: "not\na header" });
  group.same(`${where} that throws`, throws.code ?? "no error", "not-found");
  const after = await load(`${where}, afterwards`, address, options);
  group.rejects(`${where}: a sound one`, after.code ?? "no error", "not-found");
}

/** A server with the hub's paths and redirects; tensor files come from another origin. */
async function hub({ browser, server, report, fixtures, expected }) {
  const group = report.group("a model from the hub");
  const commits = { ...COMMITS };
  const cdn = await serveFaults(fixtures.model("clip"), { etag: false });
  const paths = hubPaths(() => cdn.url, commits);
  await withLoading(
    { browser, server, group },
    fixtures.model("clip"),
    async ({ page, files, load }) => {
      const source = { form: "address", folder: "hf:owner/clip" };
      const options = { endpoint: files.url, cache: { store: "hub" } };
      const paths = () => [...files.sent, ...cdn.sent].map(({ path }) => path);
      const forget = () => [files, cdn].forEach((server) => server.reset());
      const first = await load("main", source, options);
      group.same("main: embeddings", first.value?.embeddings ?? first.message, expected);
      group.same(
        "main: files of another commit",
        paths().filter((path) => !path.includes(COMMITS.main) && path !== "/owner/clip/resolve/main/config.json"),
        [],
      );
      group.rejects(
        "main: files of its commit",
        paths().filter((path) => path.includes(COMMITS.main)),
        [],
      );
      group.same(
        "main: preflights",
        [...files.sent, ...cdn.sent].filter(({ method }) => method === "OPTIONS").map(({ path }) => path),
        [],
      );
      forget();
      const second = await load("again", source, options);
      group.same("again: embeddings", second.value?.embeddings ?? second.message, expected);
      group.same(
        "again: requests",
        [...files.sent, ...cdn.sent].map(({ method, path }) => `${method} ${path}`),
        ["HEAD /owner/clip/resolve/main/config.json"],
      );
      forget();
      files.fault = cdn.fault = () => ({ drop: true });
      const offline = await load("without a network", source, options);
      group.same("without a network: embeddings", offline.value?.embeddings ?? offline.message, expected);
      forget();
      // The branch moves to a commit with another model.
      commits.main = COMMITS.next;
      files.folder = cdn.folder = fixtures.model("clip-eos");
      const moved = await load("moved", source, options);
      const fresh = await load("moved, without a cache", source, { ...options, cache: false });
      group.same("moved: embeddings", moved.value?.embeddings ?? moved.message, fresh.value?.embeddings ?? "");
      group.rejects("moved: what it was", moved.value?.embeddings ?? "", expected);
      const kept = (await page.evaluate((o) => loading.cached(o), options)).map(({ url }) => url);
      group.same("moved: what is kept", kept, [`${files.url}owner/clip/resolve/${COMMITS.next}/`]);
      forget();
      const old = await load("a commit", source, { ...options, revision: COMMITS.main });
      group.same(
        "a commit: other paths",
        paths().filter((path) => !path.includes(COMMITS.main)),
        [],
      );
      group.holds("a commit", old.value, old.message);
      await page.evaluate((o) => loading.clear("hf:owner/clip", o), options);
      group.same("cleared", await page.evaluate((o) => loading.cached(o), options), []);
      group.same(
        "no id",
        (await load("no id", { form: "address", folder: "hf:a/../b" }, options)).code ?? "no error",
        "bad-input",
      );
      forget();
      cdn.fault = ({ count }) => ({ cut: count === 1 ? 100_000 : undefined });
      const cut = await load("cut", source, options);
      group.same("cut at the CDN: embeddings", cut.value?.embeddings ?? cut.message, fresh.value?.embeddings ?? "");
      group.holds(
        "cut at the CDN: goes on",
        cdn.sent.length === 2 && cdn.sent[1].start > 0,
        JSON.stringify(cdn.sent.map(({ range }) => range)),
      );
    },
    { hub: paths },
  );
  cdn.close();
}
