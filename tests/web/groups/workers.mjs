// A model in a worker: the same numbers, what travels, where its files are, and what goes wrong.
import { cpSync } from "node:fs";
import { workersLeft } from "../lib/browser.mjs";
import { encoded } from "./numbers.mjs";

const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };
const DIST = "node_modules/ocelli/dist";

export async function workers(test) {
  await inWorker(test);
  await handedOver(test);
  await elsewhere(test);
  await workerErrors(test);
}

/** `worker: true`: the same numbers from every form of picture, and an untouched page. */
async function inWorker({ browser, server, report, fixtures }) {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    const request = globalThis.GPU?.prototype.requestAdapter;
    globalThis.asked = 0;
    if (request)
      GPU.prototype.requestAdapter = function (...options) {
        globalThis.asked++;
        return request.apply(this, options);
      };
  });
  await page.goto(server.page);
  const group = report.group("in a worker");
  const pixels = encoded(fixtures.exact("rgb-61x37.png"));
  for (const backend of ["webgpu", "cpu"]) {
    const { info, progress } = await page.evaluate(
      (b) => web.load("there", "/fixtures/siglip/", { worker: true, backend: b }),
      backend,
    );
    group.same(`${backend}: the page asks for no GPU`, await page.evaluate(() => asked), 0);
    group.holds(
      `${backend}: progress arrives`,
      progress.length > 1 && progress.at(-1).loaded === progress.at(-1).total,
      JSON.stringify(progress.at(-1)),
    );
    group.same(`${backend}: info`, info.backend, backend);
    await page.evaluate((b) => web.load("here", "/fixtures/siglip/", { backend: b }), backend);
    for (const form of [
      "Blob",
      "ImageBitmap",
      "ImageData",
      "HTMLImageElement",
      "OffscreenCanvas",
      "HTMLCanvasElement",
      "VideoFrame",
    ]) {
      const picture = { ...PICTURE, form, pixels };
      const ask = (name) => page.evaluate(([n, p]) => web.embedImage(n, p), [name, picture]);
      group.same(`${backend}: ${form}`, await ask("there"), await ask("here"));
    }
    const twenty = Array.from({ length: 20 }, (_, i) => ({
      url: PICTURE.url,
      form: i % 2 ? "HTMLImageElement" : "Blob",
    }));
    const batch = async (name) => (await page.evaluate(([n, p]) => web.batch(n, p), [name, twenty])).value;
    group.same(`${backend}: a batch`, (await batch("there")).flat(), (await batch("here")).flat());
    const classified = (name) =>
      page.evaluate(([n, p]) => web.classify(n, p, ["a cat", "a dog"], { topK: 1 }), [name, PICTURE]);
    group.same(
      `${backend}: labels`,
      JSON.stringify(await classified("there")),
      JSON.stringify(await classified("here")),
    );
    const ids = (name) => page.evaluate((n) => web.tokenize(n, "a cat"), name);
    group.same(`${backend}: token ids`, await ids("there"), await ids("here"));
    group.rejects(`${backend}: another text's`, await ids("there"), [...(await ids("here"))].reverse());
    await page.evaluate(() => web.dispose("here"));
    if (backend === "cpu") await page.evaluate(() => web.dispose("there"));
    else await page.evaluate(() => web.load("there", "/fixtures/clip/", { worker: true, backend: "cpu" }));
    await page.evaluate(() => (globalThis.asked = 0));
  }
  group.same("workers after disposal", await workersLeft(page), 0);
  await page.close();
}

/** What the page decodes is transferred and not copied; what the caller has stays the caller's. */
async function handedOver({ browser, server, report }) {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    globalThis.posted = { transferred: 0, copied: 0 };
    for (const owner of [Worker, MessagePort]) {
      const post = owner.prototype.postMessage;
      owner.prototype.postMessage = function (message, given) {
        const inside = (value) =>
          value instanceof ImageBitmap
            ? [value]
            : value && typeof value === "object"
              ? Object.values(value).flatMap(inside)
              : [];
        const bitmaps = inside(message);
        post.call(this, message, given);
        for (const { width } of bitmaps) posted[width === 0 ? "transferred" : "copied"]++;
      };
    }
  });
  await page.goto(server.page);
  const group = report.group("what is handed to a worker");
  await page.evaluate(() => web.load("there", "/fixtures/siglip/", { worker: true, backend: "cpu" }));
  const batch = (form, number, how = {}) =>
    page.evaluate(([p, how]) => web.batch("there", p, how), [Array(number).fill({ ...PICTURE, form }), how]);
  const count = async (form, number, how) => {
    await page.evaluate(() => Object.assign(posted, { transferred: 0, copied: 0 }));
    await batch(form, number, how);
    return JSON.stringify(await page.evaluate(() => posted));
  };
  group.same("elements", await count("HTMLImageElement", 3), JSON.stringify({ transferred: 3, copied: 0 }));
  const own = await count("ImageBitmap", 3);
  group.same("bitmaps of the caller's", own, JSON.stringify({ transferred: 0, copied: 3 }));
  group.rejects("copies", own, JSON.stringify({ transferred: 3, copied: 0 }));
  const given = await count("ImageBitmap", 3, { transfer: true });
  group.same("bitmaps that the caller gives away", given, JSON.stringify({ transferred: 3, copied: 0 }));
  const [kept, gone] = [await batch("ImageBitmap", 2), await batch("ImageBitmap", 2, { transfer: true })];
  group.same("the same embeddings", JSON.stringify(gone.value), JSON.stringify(kept.value));
  group.holds("which stay open", await page.evaluate((u) => web.keepsBitmap("there", u), PICTURE.url));
  await page.evaluate(() => web.dispose("there"));
  await page.close();
}

/** Worker and wasm files at other addresses, or compiled by the page. */
async function elsewhere({ browser, server, report, site }) {
  const group = report.group("a worker's files elsewhere");
  cpSync(site.path(DIST), site.path("elsewhere"), { recursive: true });
  const fetched = async (options) => {
    const page = await browser.newPage();
    await page.goto(server.page);
    server.sent.length = 0;
    const { info } = await page.evaluate((o) => web.load("there", "/fixtures/clip/", { worker: true, ...o }), options);
    const answer = await page.evaluate((p) => web.embedImage("there", p), PICTURE);
    await page.evaluate(() => web.dispose("there"));
    await page.close();
    group.holds(
      `${JSON.stringify(options)}: a number for each`,
      answer.length === info.embeddingDim && answer.every(Number.isFinite),
    );
    const paths = server.sent.map(({ path }) => path).filter((path) => /worker\.js$|\.wasm$/.test(path));
    // Helpers of a model on the CPU come from the same places.
    return [...new Set(paths)]
      .map((path) => path.replace(`/site/${DIST}/`, "").replace("/site/", ""))
      .sort()
      .join(" ");
  };
  const usual = await fetched({ backend: "webgpu" });
  group.same("beside the package", usual, "ocelli_bg.wasm worker.js");
  group.same(
    "workerUrl",
    await fetched({ backend: "webgpu", workerUrl: site.url("elsewhere/worker.js") }),
    "elsewhere/ocelli_bg.wasm elsewhere/worker.js",
  );
  group.same(
    "wasmUrl",
    await fetched({ backend: "webgpu", wasmUrl: site.url("elsewhere/ocelli_bg.wasm") }),
    "elsewhere/ocelli_bg.wasm worker.js",
  );
  group.same(
    "wasmUrl of the CPU's",
    await fetched({ backend: "cpu", wasmUrl: { cpu: site.url("elsewhere/ocelli_cpu_bg.wasm") } }),
    "elsewhere/ocelli_cpu_bg.wasm worker.js",
  );
  // The page fetches what it compiles.
  const compiled = await fetched({ backend: "webgpu", wasmModule: site.url("elsewhere/ocelli_bg.wasm") });
  group.same("wasmModule", compiled, "elsewhere/ocelli_bg.wasm worker.js");
  group.rejects("elsewhere", usual, compiled);
}

async function workerErrors({ browser, server, report }) {
  const page = await browser.newPage();
  await page.goto(server.page);
  const group = report.group("errors from a worker");
  const load = (folder, options) =>
    page.evaluate(([f, o]) => web.attempt(() => web.load("w", f, { worker: true, ...o })), [folder, options]);
  group.same("no such folder", (await load("/fixtures/nothing/")).code, "not-found");
  group.same("no worker", (await load("/fixtures/clip/", { workerUrl: "/fixtures/nothing.js" })).code, "no-worker");
  group.same(
    "an aborted load",
    (await page.evaluate(() => web.attempt(() => web.loadAborted("/fixtures/clip/", "first", { worker: true })))).code,
    "aborted",
  );
  group.same("no worker is left", await workersLeft(page), 0);
  await load("/fixtures/clip/");
  const embed = (form) => page.evaluate((p) => web.attempt(() => web.embedImage("w", p)), { ...PICTURE, form });
  group.same("a broken picture", (await embed("broken Blob")).code, "bad-image");
  group.same("no picture", (await embed("a string")).code, "bad-input");
  group.holds("the next call works", (await embed("Blob")).value?.length > 0);
  for (const form of ["broken Blob", "broken HTMLImageElement"]) {
    const pictures = Array.from({ length: 12 }, (_, i) => ({ ...PICTURE, form: i === 9 ? form : "Blob" }));
    const { code, message } = await page.evaluate((p) => web.batch("w", p), pictures);
    group.holds(`a batch says which: ${form}`, code === "bad-image" && message.startsWith("images[9]: "), message);
    await page.evaluate(() => web.labels("set", "w", ["a cat"], {}));
    const all = await page.evaluate((p) => web.classifyAll("set", p), pictures);
    group.same(`classifyAll says which: ${form}`, `${all.code} ${all.message?.slice(0, 11)}`, "bad-image images[9]: ");
  }
  const running = page.evaluate((url) => web.disposeDuring("w", url), PICTURE.url);
  group.holds("a call under way at the disposal answers", (await running).value?.length > 0, (await running).code);
  group.same("a call afterwards", (await embed("Blob")).code, "disposed");
  group.same("workers afterwards", await workersLeft(page), 0);
  group.rejects("a sound picture", "no error", "bad-image");
  await page.close();
}
