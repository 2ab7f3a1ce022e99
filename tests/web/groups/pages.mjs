// Pages as they are: browsers that give no GPU, files that never come, workers that are refused, callbacks that throw, many labels on
// the CPU, and many large photos at once.
import { workersLeft } from "../lib/browser.mjs";
import { full } from "../lib/full.mjs";
import { resident, watch } from "../lib/memory.mjs";

const MODEL = "/fixtures/clip/";
const code = ({ code }) => code ?? "no error";
const tooLong = (ms) => new Promise((resolve) => setTimeout(() => resolve({ code: `nothing after ${ms} ms` }), ms));

/** Loads a model under a name, with a signal that fires after so many milliseconds. */
const load = (page, options, { name = "m", abort, most = 60_000 } = {}) =>
  Promise.race([
    tooLong(most),
    page.evaluate(
      ([n, f, o, after]) => {
        const stop = new AbortController();
        if (after !== undefined) setTimeout(() => stop.abort(), after);
        return web.attempt(() => web.load(n, f, { backend: "cpu", signal: stop.signal, ...o }));
      },
      [name, MODEL, options, abort],
    ),
  ]);

const embed = (page, name = "m") =>
  page.evaluate((n) => web.attempt(() => web.embedImage(n, { url: "/fixtures/images/rgb-61x37.png" })), name);

async function open({ browser, server }, { init, headers } = {}) {
  const page = await browser.newPage();
  if (init) await page.addInitScript(init);
  if (headers)
    await page.route(server.page, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), ...headers } });
    });
  await page.goto(server.page);
  await page.waitForFunction("globalThis.web");
  return page;
}

/** `requestAdapter` and `requestDevice` that reject, give nothing, or never answer. */
export async function adapters(test) {
  const group = test.report.group("browsers that give no GPU");
  const refusals = {
    "requestAdapter rejects": () =>
      (GPU.prototype.requestAdapter = () => Promise.reject(new DOMException("blocklisted", "NotSupportedError"))),
    "requestAdapter throws": () =>
      (GPU.prototype.requestAdapter = () => {
        throw new TypeError("no such thing");
      }),
    "requestAdapter gives null": () => (GPU.prototype.requestAdapter = async () => null),
    "requestAdapter never answers": () => (GPU.prototype.requestAdapter = () => new Promise(() => {})),
    "requestDevice rejects": () => (GPUAdapter.prototype.requestDevice = () => Promise.reject(new Error("no device"))),
    "requestDevice never answers": () => (GPUAdapter.prototype.requestDevice = () => new Promise(() => {})),
  };
  for (const [name, init] of Object.entries(refusals)) {
    const page = await open(test, { init });
    const [asked, auto, stopped] = await Promise.all([
      load(page, { backend: "webgpu" }, { name: "asked" }),
      load(page, { backend: "auto" }),
      load(page, { backend: "webgpu" }, { name: "stopped", abort: name.includes("never") ? 100 : undefined }),
    ]);
    group.same(`${name}: "webgpu"`, code(asked), "no-webgpu");
    const { info } = auto.value ?? {};
    group.same(`${name}: "auto"`, [code(auto), info?.backend].join(" "), "no error cpu");
    group.holds(`${name}: a note`, /^.{30,}\.$/s.test(info?.note ?? ""), info?.note);
    group.holds(`${name}: a call`, (await embed(page)).value?.length > 0);
    if (name.includes("never")) group.same(`${name}: a signal`, code(stopped), "aborted");
    group.rejects(`${name}: not the CPU`, code(asked), "no error");
    await page.close();
  }
}

/** Files that the server never sends: the signal ends the load, and the next one works. */
export async function stalled(test) {
  const group = test.report.group("files that never come");
  for (const [what, pattern, options] of [
    ["the CPU's wasm file", "**/ocelli_cpu*_bg.wasm", {}],
    ["the GPU's wasm file", "**/ocelli_bg.wasm", { backend: "webgpu" }],
    ["a wasm file in a worker", "**/ocelli_cpu*_bg.wasm", { worker: true }],
    ["worker.js", "**/worker.js", { worker: true }],
  ]) {
    const page = await open(test);
    const held = [];
    await page.context().route(pattern, (route) => void held.push(route));
    const begun = Date.now();
    // Another load waits for the same file, and goes on waiting.
    const other = load(page, options, { name: "other" });
    const stopped = await load(page, options, { abort: 500, most: 20_000 });
    group.same(`${what}: a signal`, code(stopped), "aborted");
    group.holds(`${what}: at once`, Date.now() - begun < 5000, Date.now() - begun);
    group.holds(`${what}: was asked for`, held.length > 0);
    await page.context().unroute(pattern);
    for (const route of held) await route.continue().catch(() => {});
    group.same(`${what}: one beside it`, code(await other), "no error");
    await page.context().route(pattern, () => {});
    await page.reload();
    await page.waitForFunction("globalThis.web");
    group.same(`${what}: one alone`, code(await load(page, options, { abort: 200, most: 20_000 })), "aborted");
    await page.context().unroute(pattern);
    group.same(`${what}: the next load`, code(await load(page, options)), "no error");
    group.holds(`${what}: works`, (await embed(page)).value?.length > 0);
    group.rejects(`${what}: a load that is not stopped`, "no error", code(stopped));
    await page.close();
  }
}

/** Workers that the browser does not start. */
export async function refused(test) {
  const { other, report } = test;
  const group = report.group("workers that are refused");
  const WORKER = "site/node_modules/ocelli/dist/worker.js";
  const csp = (policy) => ({ headers: { "content-security-policy": policy } });
  const cases = [
    ["of another origin", /own origin/, {}, { workerUrl: other.url + WORKER }],
    ["Content-Security-Policy", /Content-Security-Policy, worker-src/, csp("worker-src 'none'")],
    ["Trusted Types", /Trusted Types/, csp("require-trusted-types-for 'script'")],
    ["COEP", /Cross-Origin-Embedder-Policy/, { headers: { "cross-origin-embedder-policy": "require-corp" } }],
    ["no Worker", /no workers here/, { init: () => delete globalThis.Worker }],
    ["no such file", /HTTP 404/, {}, { workerUrl: "/site/nothing.js" }],
    ["a page in its place", /text\/html/, {}, { workerUrl: "/app/worker.js" }],
  ];
  for (const [what, reason, how, options = {}] of cases) {
    const page = await open(test, how);
    const outcome = await load(page, { worker: true, ...options });
    group.same(what, code(outcome), "no-worker");
    group.holds(`${what}: the reason`, reason.test(outcome.message), outcome.message);
    const others = cases.filter(([name]) => name !== what).map(([, reason]) => reason);
    group.holds(`${what}: no other reason`, !others.some((one) => one.test(outcome.message)), outcome.message);
    const preferred = await load(page, { worker: "prefer", ...options });
    group.holds(`${what}: "prefer" says why`, reason.test(preferred.value?.info.note), preferred.message);
    group.holds(`${what}: a call then`, (await embed(page)).value?.length > 0);
    group.same(`${what}: workers left`, await workersLeft(page), 0);
    await page.close();
  }
  const page = await open(test);
  // One worker, and no helpers of its own.
  const sound = await load(page, { worker: "prefer", threads: 1 });
  group.same('"prefer" where there are workers', [code(sound), await workersLeft(page)].join(), "no error,1");
  group.rejects("a sound worker", code(sound), "no-worker");
  // A worker from a blob: has no folder.
  const relative = await page.evaluate(async () => {
    const code = `import { Ocelli } from "${location.origin}/site/node_modules/ocelli/dist/index.js";
      const ask = (f) => Ocelli.load(f, { backend: "cpu", cache: false }).then(() => "no error", (e) => e.code + ": " + e.message);
      postMessage([await ask("/fixtures/clip/"), await ask("${location.origin}/fixtures/clip/")]);`;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    const { data } = await new Promise((resolve) => (worker.onmessage = resolve));
    worker.terminate();
    return data;
  });
  group.holds("a relative address in a blob:", /^bad-input: .*whole address/.test(relative[0]), relative[0]);
  group.same("a whole one", relative[1], "no error");
  await page.close();
}

/** What the caller's callbacks throw is the caller's, in a worker as in the page. */
export async function callbacks(test) {
  const group = test.report.group("callbacks that throw");
  const page = await open(test);
  const seen = [];
  for (const worker of [false, true]) {
    for (const when of ["first", "weights", "ready", "later"]) {
      const outcome = await page.evaluate(
        async ([folder, worker, when]) => {
          const { Ocelli } = await import("ocelli");
          let told = 0;
          const fail = () => {
            throw new TypeError("bar is null");
          };
          const onProgress = ({ phase }) => {
            told++;
            if (when === "first" ? told === 1 : when === phase) fail();
            if (when === "later" && told === 1) return (async () => fail())();
          };
          return web.attempt(() => Ocelli.load(folder, { backend: "cpu", worker, cache: false, onProgress }));
        },
        [MODEL, worker, when],
      );
      seen.push(`${outcome.code}: ${outcome.message}`);
    }
  }
  const right = "bad-input: onProgress: TypeError: bar is null";
  group.same("onProgress", seen, Array(8).fill(right));
  group.rejects("a download that broke off", "not-found: the download broke off: TypeError: bar is null", right);
  group.same("workers left", await workersLeft(page), 0);
  await page.evaluate(async (folder) => {
    const { Ocelli } = await import("ocelli");
    globalThis.kept = await Ocelli.load(folder, { backend: "cpu", threads: 1, worker: true, cache: false });
  }, MODEL);
  group.rejects("workers left: one that lives", await workersLeft(page), 0);
  await page.evaluate(() => globalThis.kept.dispose());
  group.same("workers left: none after it", await workersLeft(page), 0);
  // Listeners end no call, and their errors are told as any uncaught one.
  const heard = await page.evaluate(async (folder) => {
    const { Ocelli } = await import("ocelli");
    let worker;
    const { Worker } = globalThis;
    globalThis.Worker = class extends Worker {
      constructor(...how) {
        super(...how);
        worker = this;
      }
    };
    const uncaught = [];
    addEventListener("error", (event) => (event.preventDefault(), uncaught.push(event.message)));
    const model = await Ocelli.load(folder, { backend: "cpu", worker: true, cache: false });
    let told = 0;
    for (const event of ["devicelost", "restored"]) {
      model.on(event, () => {
        throw new TypeError(event);
      });
      model.on(event, () => told++);
    }
    worker.dispatchEvent(new ErrorEvent("error", { message: "out of memory" }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const next = await web.attempt(async () => (await model.embedText("a cat")).length > 0);
    model.dispose();
    globalThis.Worker = Worker;
    return [next.value ?? next.code, told, ...uncaught];
  }, MODEL);
  group.same("listeners", heard, [true, 2, "Uncaught TypeError: devicelost", "Uncaught TypeError: restored"]);
  await page.close();
}

/** A page whose CPU embeds thousands of labels: frames go on, and a signal ends it soon. */
export async function manyLabels(test) {
  const group = test.report.group("3,000 labels on the CPU");
  const page = await open(test);
  for (const worker of [false, true]) {
    const where = worker ? "in a worker" : "in the page";
    await page.evaluate(([f, w]) => web.load("m", f, { backend: "cpu", worker: w }), ["/models/ocelli-tiny/", worker]);
    const ask = (names) =>
      page.evaluate(
        async ([names, worker]) => {
          const { Ocelli } = await import("ocelli");
          globalThis.tiny ??= {};
          const model = (tiny[worker] ??= await Ocelli.load("/models/ocelli-tiny/", { backend: "cpu", worker }));
          await model.embedText("warm");
          let [last, gap, frames, going] = [performance.now(), 0, 0, true];
          const frame = () => {
            gap = Math.max(gap, performance.now() - last);
            last = performance.now();
            frames++;
            if (going) requestAnimationFrame(frame);
          };
          requestAnimationFrame(frame);
          const stop = new AbortController();
          let fired = 0;
          setTimeout(() => (fired = performance.now()) && stop.abort(), 1000);
          const options = { signal: stop.signal, cache: false };
          const outcome = await model.labels(names, options).then(
            () => "done",
            ({ code }) => code,
          );
          const late = performance.now() - fired;
          going = false;
          const begun = performance.now();
          await model.embedText("the next call");
          return { outcome, late, gap, frames, next: performance.now() - begun };
        },
        [names, worker],
      );
    // Of several tries the best: other programs run here, too.
    const tries = [];
    for (let i = 0; i < 3; i++) tries.push(await ask(Array.from({ length: 3000 }, (_, at) => `thing ${i} ${at}`)));
    const least = (name) => Math.round(Math.min(...tries.map((one) => one[name])));
    group.same(`${where}: a signal`, [...new Set(tries.map(({ outcome }) => outcome))].join(), "aborted");
    group.holds(`${where}: within 200 ms`, least("late") < 200, least("late"));
    group.holds(`${where}: frames go on`, least("gap") < 400, least("gap"));
    group.holds(`${where}: the next call is soon`, least("next") < 1000, least("next"));
    group.rejects(`${where}: a page that stands still`, Array(3).fill("done").join(), "aborted");
  }
  await page.close();
}

/** Of 12 megapixels. */
const [WIDTH, HEIGHT] = [4000, 3000];
const MOST_MORE = 300 << 20;

/** Many calls at once with large photos take about the memory that they take one after the other. */
export async function manyPhotos(test) {
  const title = "many photos at once";
  if (Number.isNaN(resident())) return test.report.skip(title, "no /proc that tells of memory", { optional: true });
  const group = test.report.group(title);
  const count = full ? 60 : 8;
  const page = await open(test);
  await page.evaluate(
    async ([width, height]) => {
      const canvas = new OffscreenCanvas(width, height);
      const context = canvas.getContext("2d");
      for (let x = 0; x < width; x += 50) {
        context.fillStyle = `hsl(${x} 80% 50%)`;
        context.fillRect(x, 0, 40, height);
      }
      globalThis.photo = await canvas.convertToBlob({ type: "image/jpeg" });
      globalThis.element = Object.assign(new Image(), { src: URL.createObjectURL(photo) });
      await element.decode();
    },
    [WIDTH, HEIGHT],
  );
  /** The most memory, in MiB, while `work` runs in the page. */
  const most = async (work, given) => {
    await page.waitForTimeout(500);
    const seen = watch();
    await page.evaluate(work, given);
    return seen.end();
  };
  /** Bytes that `work` takes beyond `others`: the least of a few tries, since garbage may lie about for a while where others compute, too. */
  const beyond = async (others, work, given) => {
    let least = Infinity;
    for (let tries = 0; tries < 3 && least >= MOST_MORE; tries++)
      least = Math.min(least, (await most(work, given)) - others);
    return least;
  };
  const call = async ([how, count, atOnce, what]) => {
    const image = what === "element" ? globalThis.element : globalThis.photo;
    const one = () => (how === "classify" ? model.classify(image, ["a", "b"]) : model[how](image));
    if (atOnce) await Promise.all(Array.from({ length: count }, one));
    else for (let i = 0; i < count; i++) await one();
  };
  // As calls did that each decoded their picture at once.
  const before = resident();
  const all = await beyond(
    before,
    async (count) => {
      const bitmaps = await Promise.all(Array.from({ length: count }, () => createImageBitmap(photo)));
      const held = bitmaps.map((bitmap) => {
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
        context.drawImage(bitmap, 0, 0);
        return context.getImageData(0, 0, bitmap.width, bitmap.height);
      });
      return held.length;
    },
    count,
  );
  group.rejects("all decoded at once", String(all < MOST_MORE), "true");
  for (const [options, what] of [
    [{ backend: "cpu" }, "photo"],
    [{ backend: "cpu", worker: true }, "element"],
    [{ backend: "webgpu" }, "photo"],
  ]) {
    await page.evaluate(
      async ([folder, options]) => {
        const { Ocelli } = await import("ocelli");
        globalThis.model?.dispose();
        globalThis.model = await Ocelli.load(folder, { cache: false, ...options });
      },
      [MODEL, options],
    );
    const where = `${JSON.stringify(options)}, ${what}`;
    const alone = await most(call, ["classify", 2, false, what]);
    for (const how of full ? ["classify", "embedImage"] : ["classify"]) {
      const more = await beyond(alone, call, [how, count, true, what]);
      group.same(`${where}: ${how}, ${Math.round(more / 2 ** 20)} MiB more`, String(more < MOST_MORE), "true");
    }
  }
  await page.close();
}
