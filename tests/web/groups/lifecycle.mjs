// A model's life: restores that fail, devices that go while work is under way, errors and whose they are, workers that die.
import { workersLeft } from "../lib/browser.mjs";
import { serveFaults } from "../lib/faults.mjs";
import { full } from "../lib/full.mjs";
import { watchLife } from "../lib/life.mjs";
import { distance } from "../lib/report.mjs";

const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };
/** As tests/models asks of the exact tiers: a share of the distance between unrelated embeddings. */
const SHARE = 2e-5;
/** Each race takes a software adapter half a minute. */

export async function lifecycle(test) {
  const files = await serveFaults(test.fixtures.model("siglip"));
  const bound = SHARE * test.fixtures.golden("siglip").unrelated_distance.image;
  const here = { ...test, files, bound };
  try {
    for (const part of [restores, borrowed, whose, dropped, scopes, workersDie, requested, storage, stopped])
      await part(here);
  } finally {
    files.close();
  }
}

const code = (outcome) => outcome.code ?? "no error";
const embed = (page, name = "m") => page.evaluate(([n, p]) => web.attempt(() => web.embedImage(n, p)), [name, PICTURE]);
const same = (outcome, before) => JSON.stringify(outcome.value) === JSON.stringify(before.value);

async function open({ browser, server }, init) {
  const page = await browser.newPage();
  await page.addInitScript(watchLife);
  if (init) await page.addInitScript(init);
  await page.goto(server.page);
  return page;
}

/** With a model "m" from the server that fails as the test says. */
async function loaded({ files, ...test }, options = {}) {
  const page = await open(test);
  files.reset();
  await page.evaluate(([f, o]) => web.load("m", f, o), [files.url, options]);
  return page;
}

/** A restore that fails is tried again by the next call, and a model whose restore failed can be disposed of. */
async function restores(test) {
  const { files, report } = test;
  const group = report.group("a restore that fails");
  const page = await loaded(test);
  const before = await embed(page);
  await page.evaluate(() => web.lose("m"));
  files.fault = () => ({ status: 404 });
  const [first, beside] = await Promise.all([embed(page), embed(page)]);
  group.same("the call that meets it", code(first), "not-found");
  group.same("one beside it", code(beside), "not-found");
  group.same("the next one, while the files are away", code(await embed(page)), "not-found");
  files.reset();
  const again = await embed(page);
  group.holds("once they are back", same(again, before), again.message);
  await page.evaluate(() => {
    const request = GPU.prototype.requestAdapter;
    GPU.prototype.requestAdapter = async () => ((GPU.prototype.requestAdapter = request), null);
  });
  await page.evaluate(() => web.lose("m"));
  group.same("without a GPU for a moment", code(await embed(page)), "no-webgpu");
  const later = await embed(page);
  group.holds("once it is back", same(later, before), later.message);
  await page.evaluate(() => web.lose("m"));
  files.fault = () => ({ status: 404 });
  await embed(page);
  group.same("a disposal then", code(await page.evaluate(() => web.attempt(() => web.dispose("m")))), "no error");
  group.same("a call after it", code(await embed(page)), "disposed");
  // The device of the load that failed was still in its self-test.
  for (let i = 0; i < 50 && (await page.evaluate(() => life.live)) > 0; i++) await page.waitForTimeout(100);
  group.same("buffers and textures that are left", await page.evaluate(() => life.live), 0);
  group.rejects("a sound call", code(again), "not-found");
  await page.close();
}

/** An engine is freed after the calls that hold it. */
async function borrowed(test) {
  const { report } = test;
  const group = report.group("a device that goes during a call");
  for (const [what, method, picture, how] of [
    ["verify", "verify", undefined, { after: 300 }],
    ["four embeddings", "embedImage", PICTURE, { times: 4 }],
    ["four embeddings, later", "embedImage", PICTURE, { times: 4, after: 20 }],
    ["preprocess", "preprocess", PICTURE, { times: 2, after: 5 }],
  ]) {
    const page = await loaded(test);
    const before = await page.evaluate(
      async ([m, p]) => (p ? web[m]("m", p) : (await web.verify("m")).ok),
      [method, picture],
    );
    const text = await page.evaluate(() => web.embedText("m", "a cat"));
    const { during, next } = await page.evaluate((args) => web.loseDuring(...args), ["m", method, picture, how]);
    group.holds(
      `${what}: made again, or lost`,
      during.every(
        ({ code, value }) => code === "device-lost" || method !== "embedImage" || same({ value }, { value: before }),
      ),
      JSON.stringify(during).slice(0, 200),
    );
    group.same(`${what}: codes`, [...new Set(during.map(code))].join(), "no error");
    group.holds(`${what}: the call that hears of it`, same(next, { value: text }), next.message);
    const after = await page.evaluate(() => web.attempt(() => web.embedText("m", "a cat")));
    group.holds(`${what}: the next call`, same(after, { value: text }), after.message);
    group.same(`${what}: devices that are left`, await page.evaluate(() => life.devices.length - life.destroyed), 1);
    await page.evaluate(() => web.dispose("m"));
    group.same(`${what}: buffers that are left`, await page.evaluate(() => life.live), 0);
    await page.close();
  }
  group.rejects("a lost call", "no error", "device-lost");
}

/** Errors of the GPU fail the calls that they can concern, and no other. */
async function whose(test) {
  const { report, bound, fixtures } = test;
  const page = await loaded(test);
  const group = report.group("whose an error of the GPU is", distance, bound);
  // Higher than the room that there is from the start, and not so narrow that its columns come first.
  const pixels = { width: 100, height: 9000, base64: Buffer.alloc(100 * 9000 * 4, 200).toString("base64") };
  const small = { ...PICTURE, form: "ImageData", pixels: encodedPicture(fixtures) };
  const huge = { form: "ImageData", pixels };
  const before = await page.evaluate(([n, p]) => web.embedImage(n, p), ["m", small]);
  for (const round of [1, 2, 3]) {
    const [one, none, two] = await page.evaluate((args) => web.besideHuge(...args), ["m", small, huge, 1_000_000]);
    group.same(`${round}: the sound one`, one.value ?? [], before);
    group.same(`${round}: another`, two.value ?? [], before);
    group.holds(`${round}: the huge one`, none.code === "gpu", none.code ?? JSON.stringify(none.value?.slice(0, 4)));
  }
  // What the huge one left is not there for the next of its size.
  const fits = await page.evaluate((p) => web.attempt(() => web.embedImage("m", p)), huge);
  group.holds("the huge one, once there is memory", fits.value?.length > 0, fits.message);
  const during = await page.evaluate((args) => web.complained(...args), ["m", PICTURE, "during"]);
  group.holds("an error that is no call's own, during a call", during.code === "gpu", code(during));
  const after = await page.evaluate((args) => web.complained(...args), ["m", small, "before"]);
  group.same("one before a call", after.value ?? [], before);
  group.same("a call afterwards", await page.evaluate((p) => web.embedImage("m", p), small), before);
  group.rejects("the huge one's", fits.value, before);
  await page.close();
}

/** A submit that the GPU drops without a word gives no numbers, and never those of the call before. */
async function dropped(test) {
  const { report } = test;
  const page = await loaded(test);
  const group = report.group("a submit that is dropped");
  const before = await embed(page);
  const found = await page.evaluate(async (picture) => {
    const submit = GPUQueue.prototype.submit;
    GPUQueue.prototype.submit = () => {};
    try {
      return await web.attempt(() => web.embedText("m", "a red square").then(() => web.embedImage("m", picture)));
    } finally {
      GPUQueue.prototype.submit = submit;
    }
  }, PICTURE);
  group.same("the call that it was of", code(found), "not-finite");
  group.holds("the next call", same(await embed(page), before));
  group.rejects("an embedding", code(before), "not-finite");
  await page.close();
}

function encodedPicture(fixtures) {
  const { width, height, data } = fixtures.exact("rgb-61x37.png");
  return { width, height, base64: Buffer.from(data).toString("base64") };
}

/** A self-test that fails leaves the device's errors to be heard. */
async function scopes(test) {
  const { report, files } = test;
  const group = report.group("errors after a self-test that failed");
  const page = await open(test, () => {
    const map = GPUBuffer.prototype.mapAsync;
    GPUBuffer.prototype.mapAsync = function () {
      GPUBuffer.prototype.mapAsync = map;
      return Promise.reject(new DOMException("no", "OperationError"));
    };
    const [push, pop] = [GPUDevice.prototype.pushErrorScope, GPUDevice.prototype.popErrorScope];
    globalThis.open = 0;
    GPUDevice.prototype.pushErrorScope = function (...args) {
      globalThis.open++;
      return push.apply(this, args);
    };
    GPUDevice.prototype.popErrorScope = function () {
      globalThis.open--;
      return pop.call(this);
    };
  });
  files.reset();
  const { info } = await page.evaluate((f) => web.load("m", f, { tier: "tiled" }), files.url);
  group.holds("the self-test failed", Boolean(info.note), info.note);
  group.same("scopes that are left", await page.evaluate(() => globalThis.open), 0);
  await embed(page);
  group.same(
    "an error during a call",
    code(await page.evaluate((args) => web.complained(...args), ["m", PICTURE, "during"])),
    "gpu",
  );
  group.same("scopes after calls", await page.evaluate(() => globalThis.open), 0);
  group.rejects("a sound call", code(await embed(page)), "gpu");
  await page.close();
}

/** A worker that dies ends its calls; the next one has another worker. */
async function workersDie(test) {
  const { report } = test;
  const group = report.group("a worker that dies");
  for (const how of ["terminated", "an error"]) {
    const page = await loaded(test, { worker: true, backend: "webgpu" });
    const before = await embed(page);
    const ranked = async () => JSON.stringify(await page.evaluate((p) => web.classifyBySet("set", [p], {}), PICTURE));
    await page.evaluate(() => web.labels("set", "m", ["a cat", "a dog"], {}));
    const scores = await ranked();
    const ended = await page.evaluate((args) => web.killDuring(...args), ["m", PICTURE, how]);
    group.same(`${how}: calls under way`, [...new Set(ended.map(code))].join(), "worker-lost");
    if (ended[0].code === "never") continue;
    group.holds(`${how}: a sentence`, /^.{15,}\.$/s.test(ended[0].message ?? ""), ended[0].message);
    const next = await embed(page);
    group.holds(`${how}: the next call`, same(next, before), next.message);
    group.same(`${how}: a set of labels`, await ranked(), scores);
    group.same(
      `${how}: what the model tells`,
      (await page.evaluate(() => web.happened())).join(" "),
      "devicelost,webgpu restored,webgpu",
    );
    await page.evaluate((h) => web.kill(h), how);
    await page.waitForTimeout(200);
    group.same(`${how}: a death that no call met`, code(await embed(page)), "no error");
    await page.evaluate((h) => web.kill(h), how);
    group.same(`${how}: disposal`, code(await page.evaluate(() => web.attempt(() => web.dispose("m")))), "no error");
    group.same(`${how}: a call after it`, code(await embed(page)), "disposed");
    group.same(`${how}: workers that are left`, await workersLeft(page), 0);
    await page.close();
  }
  group.rejects("a sound call", "no error", "worker-lost");
}

/** A device that is asked for and not used is destroyed. */
async function requested(test) {
  const { report, fixtures, files } = test;
  const group = report.group("a tier that the device does not have");
  const page = await open(test, () => {
    // As where there is no shader-f16.
    const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "features");
    Object.defineProperty(GPUAdapter.prototype, "features", {
      get() {
        const own = new Set([...get.call(this)].filter((name) => name !== "shader-f16"));
        return Object.assign(own, { __proto__: Set.prototype });
      },
    });
  });
  files.reset();
  const load = (options) => page.evaluate(([f, o]) => web.attempt(() => web.load("m", f, o)), [files.url, options]);
  const left = () => page.evaluate(() => `${life.devices.length} made, ${life.destroyed} destroyed, ${life.live} left`);
  group.same("half without shader-f16", code(await load({ tier: "half" })), "bad-input");
  const after = await left();
  group.same("devices", after, "1 made, 1 destroyed, 0 left");
  group.same("a tier that does not exist", code(await load({ tier: "best" })), "bad-input");
  group.same("devices then", await left(), "2 made, 2 destroyed, 0 left");
  group.same("one that it has", code(await load({ tier: "tiled" })), "no error");
  group.rejects("a device that is in use", await left(), after);
  await page.close();
}

/** Whatever is in localStorage, a load works and races anew. */
async function storage(test) {
  const { report, files } = test;
  const group = report.group("odd things in localStorage");
  const page = await open(test);
  files.reset();
  const raced = (options) =>
    page.evaluate(
      ([f, o]) => web.attempt(() => web.load("m", f, o)),
      [files.url, { towers: "vision", tier: "auto", ...options }],
    );
  await raced();
  const kept = await page.evaluate(() => localStorage.getItem("ocelli.devices"));
  const [name] = Object.keys(JSON.parse(kept));
  const junk = full ? ["null", "7", "[]", "{"] : ["{"];
  const values = [null, { tier: "tiled" }, { rate: "fast", tier: "tiled" }, { rate: 9, tier: {} }];
  for (const value of full ? values : values.slice(-1)) junk.push(JSON.stringify({ [name]: value }));
  for (const text of junk) {
    await page.evaluate((t) => web.remembered(t), text);
    await page.goto(test.server.page);
    const outcome = await raced();
    group.same(text, code(outcome), "no error");
    const now = JSON.parse(await page.evaluate(() => localStorage.getItem("ocelli.devices")))?.[name];
    group.holds(`${text}: raced anew`, now?.rate > 0 && typeof now.tier === "string", JSON.stringify(now));
  }
  group.rejects("a load that fails", "no error", "internal");
  await page.close();
}

/** A signal ends every wait, also that for a restore. */
async function stopped(test) {
  const { report, files } = test;
  const group = report.group("signals while a restore is under way");
  for (const options of [{}, { worker: true }]) {
    const where = options.worker ? "in a worker: " : "";
    const page = await loaded(test, options);
    await page.evaluate(() => web.labels("m", "m", ["a cat", "a dog"], {}));
    const names = ["embedImage", "embedImages", "embedText", "embedTexts", "classify", "labels", "set", "classifyAll"];
    names.push("learn", "preprocess", "tokenize", "verify");
    if (options.worker) await page.evaluate(() => life.workers.at(-1).terminate());
    else await page.evaluate(() => web.lose("m"));
    await page.waitForTimeout(200);
    let release;
    const held = new Promise((resolve) => (release = resolve));
    files.fault = ({ name }) => (name === "model.safetensors" ? { cut: 1, until: () => held } : {});
    const ended = await page.evaluate((args) => web.stoppedAll(...args), ["m", names, PICTURE]);
    names.forEach((name, i) => group.same(`${where}${name}`, ended[i].code ?? ended[i], "aborted"));
    files.reset();
    release();
    group.same(`${where}a call afterwards`, code(await embed(page)), "no error");
    await page.close();
  }
  group.rejects("a call that ends by itself", "no error", "aborted");
}
