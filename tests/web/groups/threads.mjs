// The CPU's threads: the same bits for any number of them, in a page and in a worker; helpers that die, are refused or are no longer
// needed; and weights that are there once.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { workersLeft } from "../lib/browser.mjs";
import { enlarged } from "../lib/enlarged.mjs";

const PICTURES = ["rgb-61x37.png", "grey-50x31.png"].map((name) => ({ url: `/fixtures/images/${name}` }));
const TEXT = "two dogs on a beach";
const MB = 1 << 20;
/** What an engine takes beside its weights, at most: the file itself, a piece on its way, inputs of a step. */
const EACH = 24 * MB;

export async function threads(test) {
  await sameBits(test);
  await wrongAnswers(test);
  await helpersDie(test);
  await refused(test);
  await ended(test);
  await shared(test);
}

async function open({ browser, server }, init) {
  const page = await browser.newPage();
  if (init) await page.addInitScript(init);
  await page.goto(server.page);
  return page;
}

const load = (page, folder, options) =>
  page.evaluate(([f, o]) => web.load("m", f, { backend: "cpu", ...o }), [folder, options]);

/** Pictures one by one and together, and a text: all numbers of it. */
async function numbers(page) {
  const one = [];
  for (const picture of PICTURES) one.push(await page.evaluate((p) => web.embedImage("m", p), picture));
  const all = await page.evaluate((p) => web.batch("m", p), [...PICTURES, ...PICTURES, ...PICTURES]);
  return [...one, ...all.value, await page.evaluate((t) => web.embedText("m", t), TEXT)].flat();
}

async function sameBits(test) {
  const group = test.report.group("threads: the same bits");
  const page = await open(test);
  for (const model of ["clip", "siglip", "naflex"]) {
    for (const format of ["none", "q8"]) {
      let alone;
      for (const [threads, worker] of [
        [1, false],
        [2, false],
        [3, false],
        [2, true],
        [3, true],
      ]) {
        const { info } = await load(page, `/fixtures/${model}/`, { format, threads, worker });
        const what = `${model}, ${format}, ${threads} threads${worker ? " in a worker" : ""}`;
        group.same(`${what}: threads`, info.threads, threads);
        group.same(`${what}: note`, info.note ?? "", "");
        const found = await numbers(page);
        alone ??= found;
        group.same(what, found, alone);
        if (threads === 3) group.holds(`${what}: verify`, (await page.evaluate(() => web.verify("m"))).ok);
      }
      group.rejects(`${model}, ${format}: another order`, [...alone].reverse(), alone);
    }
  }
  await page.evaluate(() => web.dispose("m"));
  group.same("workers after disposal", await workersLeft(page), 0);
  await page.close();
}

/** A helper that computes wrongly is seen in what comes out: it does have a share of the work. */
async function wrongAnswers(test) {
  const group = test.report.group("threads: a helper that computes wrongly");
  const page = await open(test, () => {
    const listen = Worker.prototype.addEventListener;
    Worker.prototype.addEventListener = function (type, listener, ...options) {
      const heard = (event) => {
        if (globalThis.wrong && event.data?.[0] === "ran") event.data[1][0] += 1;
        listener.call(this, event);
      };
      listen.call(this, type, type === "message" ? heard : listener, ...options);
    };
  });
  await load(page, "/fixtures/clip/", { threads: 2 });
  const right = await numbers(page);
  await page.evaluate(() => (globalThis.wrong = true));
  group.rejects("numbers that are off by one", await numbers(page), right);
  await page.evaluate(() => (globalThis.wrong = false));
  group.same("right again", await numbers(page), right);
  await page.close();
}

/** Keeps the page's workers, and kills one at a message. */
function watchWorkers() {
  globalThis.workers = [];
  globalThis.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      workers.push(this);
    }
    postMessage(message, ...rest) {
      if (globalThis.killAt !== undefined && message[0] === "run" && globalThis.killAt-- === 0) this.terminate();
      super.postMessage(message, ...rest);
    }
  };
}

async function helpersDie(test) {
  const group = test.report.group("threads: a helper that dies");
  const page = await open(test, watchWorkers);
  const attempt = (picture) => page.evaluate((p) => web.attempt(() => web.embedImage("m", p)), picture);
  await load(page, "/fixtures/siglip/", { threads: 3 });
  const before = (await attempt(PICTURES[0])).value;
  const kill = {
    "in a step": () => page.evaluate(() => (globalThis.killAt = 9)),
    "between two calls": () => page.evaluate(() => workers.at(-1).terminate()),
    "by an error": () =>
      page.evaluate(() => workers.at(-1).dispatchEvent(new ErrorEvent("error", { message: "out of memory" }))),
    "by a trap": () => page.evaluate(() => workers.at(-1).postMessage(["write", 9999, false, 0, new Uint8Array(4)])),
  };
  let so = "";
  for (const [how, strike] of Object.entries(kill)) {
    await strike();
    so = `${so} devicelost,cpu restored,cpu`.trim();
    if (how !== "in a step") await page.waitForTimeout(200);
    const next = await attempt(PICTURES[0]);
    group.same(`${how}: the call, or the next one`, next.value ?? next.code, before);
    const happened = (await page.evaluate(() => web.happened())).join(" ");
    group.same(`${how}: what the model tells`, happened, so);
    await page.waitForTimeout(100);
    group.same(`${how}: workers`, page.workers().length, 2);
  }
  group.rejects("another picture", (await attempt(PICTURES[1])).value, before);
  // While the next one loads.
  await page.evaluate(() => web.dispose("m"));
  const dying = await page.evaluate(() =>
    web.attempt(() => {
      setTimeout(() => workers.at(-1).terminate(), 0);
      const begun = workers.length;
      const timer = setInterval(() => workers.length > begun && (workers.at(-1).terminate(), clearInterval(timer)));
      return web.load("m", "/fixtures/siglip/", { backend: "cpu", threads: 2 });
    }),
  );
  group.holds("while it loads: it ends", dying.code !== "never", dying.code);
  await page.evaluate(() => web.attempt(() => web.dispose("m")));
  group.same("workers in the end", await workersLeft(page), 0);
  await page.close();
}

/** Without helpers it goes on, and says why it is alone. */
async function refused(test) {
  const group = test.report.group("threads: helpers that do not start");
  const page = await open(test);
  await load(page, "/fixtures/clip/", { threads: 1 });
  const alone = await numbers(page);
  const { info } = await load(page, "/fixtures/clip/", { threads: 2, workerUrl: "/fixtures/nothing.js" });
  group.same("threads", info.threads, 1);
  group.holds("note", /one thread.*nothing\.js/s.test(info.note ?? ""), info.note);
  group.same("numbers", await numbers(page), alone);
  group.same("workers", await workersLeft(page), 0);
  for (const threads of [0, 1.5, "many"]) {
    const found = await page.evaluate(
      (t) => web.attempt(() => web.load("n", "/fixtures/clip/", { backend: "cpu", threads: t })),
      threads,
    );
    group.same(`threads: ${threads}`, found.code, "bad-input");
  }
  group.rejects("two threads", info.threads, 2);
  await page.close();
}

/** No worker outlives its model. */
async function ended(test) {
  const group = test.report.group("threads: workers that are left");
  const page = await open(test);
  for (const when of ["before", "first", "complete"]) {
    const found = await page.evaluate(
      (w) => web.attempt(() => web.loadAborted("/fixtures/siglip/", w, { backend: "cpu", threads: 3 })),
      when,
    );
    group.same(`a load that is stopped: ${when}`, found.code, "aborted");
    group.same(`its workers: ${when}`, await workersLeft(page), 0);
  }
  const failing = await page.evaluate(() =>
    web.attempt(() => web.load("m", "/fixtures/nothing/", { backend: "cpu", threads: 3 })),
  );
  group.same("a load that fails", failing.code, "not-found");
  group.same("its workers", await workersLeft(page), 0);
  await load(page, "/fixtures/siglip/", { threads: 3 });
  group.same("while it is loaded", page.workers().length, 2);
  group.holds(
    "a call under way at the disposal answers",
    (await page.evaluate((url) => web.disposeDuring("m", url), PICTURES[0].url)).value?.length > 0,
  );
  group.same("after disposal", await workersLeft(page), 0);
  group.rejects("none", 2, 0);
  await page.close();
}

/** What the engines in workers have for memory, the largest first. */
const memories = (page) =>
  page.evaluate(async () => {
    const channel = new BroadcastChannel("memories");
    const sizes = [];
    channel.onmessage = ({ data }) => sizes.push(data);
    channel.postMessage("how large");
    await new Promise((resolve) => setTimeout(resolve, 500));
    channel.close();
    return sizes.sort((a, b) => b - a);
  });

/** Of a large model each engine has its share, and what all have together is one copy and what each needs for itself. */
async function shared(test) {
  const group = test.report.group("threads: weights are there once");
  const { site, fixtures } = test;
  mkdirSync(site.path("large"), { recursive: true });
  const bytes = enlarged(join(fixtures.folder, "siglip"), site.path("large"), 28);
  site.write("watched.js", () => `import "/page/memory.js";\nimport "/site/node_modules/ocelli/dist/worker.js";\n`);
  const page = await open(test);
  const sizes = {};
  for (const threads of [1, 2, 3]) {
    // In a worker as well, so that its memory counts.
    const there = { threads, worker: true, towers: "vision", workerUrl: site.url("watched.js") };
    const { info } = await load(page, "/site/large/", there);
    group.same(`${threads} threads: started`, info.threads, threads);
    await page.evaluate((p) => web.embedImage("m", p), PICTURES[0]);
    sizes[threads] = await memories(page);
    group.same(`${threads} threads: engines`, sizes[threads].length, threads);
    await page.evaluate(() => web.dispose("m"));
  }
  const [mb, [alone]] = [(size) => `${Math.round(size / MB)} MB`, sizes[1]];
  const sum = (sizes) => sizes.reduce((sum, size) => sum + size, 0);
  group.holds("alone", alone > bytes, `${mb(alone)} for weights of ${mb(bytes)}`);
  for (const threads of [2, 3]) {
    const [leader, ...helpers] = sizes[threads];
    const own = bytes / threads;
    group.holds(
      `${threads} threads: a helper`,
      helpers.every((size) => size > own && size < own + EACH),
      helpers.map(mb).join(),
    );
    group.holds(`${threads} threads: the leader`, leader < alone - bytes + own + EACH, mb(leader));
    const all = sum(sizes[threads]);
    group.holds(`${threads} threads: all`, all < alone + (threads - 1) * EACH, `${mb(all)} beside ${mb(alone)}`);
    // As if each had all of them.
    group.rejects(`${threads} threads: a copy each`, Number(threads * alone < alone + (threads - 1) * EACH), 1);
  }
  await page.close();
}
