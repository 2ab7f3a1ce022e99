// Where a model runs: on the GPU or on the CPU; and which wasm files that takes.
import { distance, largest } from "../lib/report.mjs";
import { exact } from "./numbers.mjs";

/** As tests/models asks of the exact tiers: a share of the distance between unrelated embeddings. */
const SHARE = 2e-5;
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function backends(test) {
  await onCpu(test, "the file for this browser", {});
  await onCpu(test, "without relaxed SIMD", { wasmUrl: { cpu: `/${FILES}/ocelli_cpu_bg.wasm` } });
  await relaxed(test);
  await bothAgree(test);
  await chosen(test);
  await files(test);
}

const FILES = "site/node_modules/ocelli/dist";

/** The reference's embeddings and pixels, without a GPU, by one of the CPU's wasm files: a page stays with its first. */
async function onCpu({ browser, server, report, fixtures, quirks }, file, options) {
  const page = await browser.newPage();
  await page.goto(server.page);
  for (const model of ["clip", "siglip"]) {
    const golden = fixtures.golden(model);
    const { info } = await page.evaluate(
      ([m, o]) => web.load("cpu", `/fixtures/${m}/`, { backend: "cpu", ...o }),
      [model, options],
    );
    const unrelated = golden.unrelated_distance;
    const images = report.group(`on the CPU, ${file}: pictures: ${model}`, distance, SHARE * unrelated.image);
    const names = exact(Object.keys(golden.images), quirks);
    const found = [];
    for (const name of names)
      found.push(await page.evaluate((url) => web.embedImage("cpu", { url }), `/fixtures/images/${name}`));
    names.forEach((name, i) => images.same(name, found[i], golden.images[name].embedding));
    images.rejects("another picture", found[0], golden.images[names[1]].embedding);
    images.holds(
      "info says so",
      info.backend === "cpu" && info.adapter === "CPU" && info.gpuBytes === 0,
      JSON.stringify(info),
    );
    const texts = report.group(`on the CPU, ${file}: texts: ${model}`, distance, SHARE * unrelated.text);
    const { value } = await page.evaluate(
      (t) => web.embedTexts("cpu", t),
      golden.texts.map(({ text }) => text),
    );
    golden.texts.forEach(({ text, embedding }, i) => texts.same(text, value[i], embedding));
    texts.rejects("another text", value[0], golden.texts[1].embedding);
  }
  await page.close();
}

/** Which of the CPU's two wasm files is taken, and what becomes of one that computes wrongly. */
async function relaxed({ browser, server, report }) {
  const group = report.group("the CPU's wasm files");
  const load = async ({ before = async () => {}, ...options }) => {
    const page = await browser.newPage();
    await before(page);
    await page.goto(server.page);
    const sent = server.sent.length;
    const { info } = await page.evaluate((o) => web.load("cpu", "/fixtures/clip/", { backend: "cpu", ...o }), options);
    const { value } = await page.evaluate((p) => web.attempt(() => web.embedImage("cpu", p)), PICTURE);
    const known = await page.evaluate(() => web.relaxedSimd());
    await page.close();
    const files = wasmFiles(server.sent.slice(sent));
    return { files, note: info.note ?? "", value, known };
  };
  const usual = await load({});
  group.same("as this browser can", usual.files, [usual.known ? "ocelli_cpu_relaxed" : "ocelli_cpu"]);
  group.same("no note", usual.note, "");
  const unknown = (page) => page.addInitScript(() => (WebAssembly.validate = () => false));
  group.same("a browser without relaxed SIMD", (await load({ before: unknown })).files, ["ocelli_cpu"]);
  const cpu = `/${FILES}/ocelli_cpu_bg.wasm`;
  group.same("the other's place alone", (await load({ wasmUrl: { cpu } })).files, ["ocelli_cpu"]);
  const both = { cpu: "/fixtures/nothing.wasm", cpuRelaxed: `/${FILES}/ocelli_cpu_relaxed_bg.wasm` };
  if (!usual.known) return;
  group.same("both places", (await load({ wasmUrl: both })).files, ["ocelli_cpu_relaxed"]);
  // As a browser with a defect would run it.
  const damaged = (page) =>
    page.route("**/ocelli_cpu_relaxed_bg.wasm", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: subtracting(await response.body()) });
    });
  const wrong = await load({ before: damaged });
  group.same("one that computes wrongly gives way", wrong.files, ["ocelli_cpu", "ocelli_cpu_relaxed"]);
  group.holds("with a note", wrong.note.includes("relaxed SIMD computes wrongly"), wrong.note);
  group.holds("and the other's numbers", largest(wrong.value, usual.value) < 1e-5);
  group.rejects("a note where all is well", usual.note, wrong.note);
}

/** With every `f32x4.relaxed_madd` made `f32x4.relaxed_nmadd`. */
function subtracting(wasm) {
  const bytes = Buffer.from(wasm);
  for (let at = -1; (at = bytes.indexOf(Buffer.from([0xfd, 0x85, 0x02]), at + 1)) >= 0;) bytes[at + 1] = 0x86;
  return bytes;
}

/** Names of the wasm files among what a server has sent. */
function wasmFiles(sent) {
  const names = sent.map(({ path }) => /dist\/(\w+)_bg\.wasm$/.exec(path)?.[1]);
  return [...new Set(names.filter(Boolean))].sort();
}

/** Labels, batches, preprocess, verify: the same calls give the same on both. */
async function bothAgree({ browser, server, report }) {
  // On a page of its own: the folder has no goldens.json, which the browser writes on its console.
  const page = await browser.newPage();
  await page.goto(server.page);
  const group = report.group("the CPU agrees with the GPU", largest, 1e-5);
  const labels = ["a cat", "a dog", "a red square"];
  const ask = async (backend) => {
    await page.evaluate((b) => web.load("either", "/fixtures/siglip/", { backend: b, format: "q8" }), backend);
    await page.evaluate((l) => web.labels("either", "either", l, { template: "a photo of {}" }), [...labels]);
    const ranked = await page.evaluate((p) => web.classifyBySet("either", [p], {}), PICTURE);
    const square = await page.evaluate((p) => web.preprocess("either", p), PICTURE);
    const batch = await page.evaluate((p) => web.batch("either", p), Array(11).fill(PICTURE));
    const { ok, off } = await page.evaluate(() => web.verify("either"));
    const scores = [...ranked[0]].sort((a, b) => a.index - b.index).map(({ score }) => score);
    return { scores, square, batch: batch.value, verified: `${ok} ${off}` };
  };
  const [gpu, cpu] = [await ask("webgpu"), await ask("cpu")];
  group.same("scores", cpu.scores, gpu.scores);
  group.holds("the square, to the last bit", cpu.square.base64 === gpu.square.base64);
  group.same("a batch", cpu.batch.flat(), gpu.batch.flat());
  group.holds(
    "verify",
    cpu.verified === "true null" && gpu.verified === "true null",
    `${cpu.verified}, ${gpu.verified}`,
  );
  group.rejects("other scores", cpu.scores, [...gpu.scores].reverse());
  await page.close();
}

/** What `backend: "auto"` comes to. */
async function chosen({ browser, server, report }) {
  const group = report.group("the backend that is chosen");
  const load = async (init, options = {}) => {
    const page = await browser.newPage();
    if (init) await page.addInitScript(init);
    await page.goto(server.page);
    const outcome = await page.evaluate(
      (o) => web.attempt(() => web.load("auto", "/fixtures/clip/", { backend: "auto", ...o })),
      options,
    );
    const again = await page.evaluate((p) => web.attempt(() => web.embedImage("auto", p)), PICTURE);
    await page.close();
    return outcome.code ?? again.code ?? outcome.value.info.backend;
  };
  group.same("without WebGPU", await load(() => delete Navigator.prototype.gpu), "cpu");
  group.same("without an adapter", await load(() => (GPU.prototype.requestAdapter = async () => null)), "cpu");
  group.same("a GPU that is an emulation, and slower", await raced(browser, server, 1), "cpu");
  group.same("a GPU that is one", await raced(browser, server, 1000), "webgpu");
  group.rejects("asked for, it stays with the GPU", await load(undefined, { backend: "webgpu" }), "cpu");
  group.same("one that does not exist", await load(undefined, { backend: "tpu" }), "bad-input");
}

/** What is chosen once the GPU is known to do so many billions of operations a second, and the CPU 20. */
async function raced(browser, server, rate) {
  const page = await browser.newPage();
  const load = async () => {
    await page.goto(server.page);
    return (await page.evaluate(() => web.load("auto", "/fixtures/clip/", { backend: "auto" }))).info.backend;
  };
  await load();
  await page.evaluate((rate) => {
    const known = Object.entries(JSON.parse(localStorage.getItem("ocelli.devices")));
    if (!known.some(([name]) => !name.startsWith("cpu|"))) throw new Error("the race was not kept");
    for (const [name, outcome] of known) outcome.rate = name.startsWith("cpu|") ? 20 : rate;
    localStorage.setItem("ocelli.devices", JSON.stringify(Object.fromEntries(known)));
  }, rate);
  const backend = await load();
  await page.close();
  return backend;
}

/** Only what is needed is fetched. */
async function files({ browser, server, report }) {
  const group = report.group("wasm files that are fetched");
  const fetched = async (use) => {
    const before = server.sent.length;
    const page = await browser.newPage();
    await page.goto(server.page);
    await use(page);
    await page.close();
    return wasmFiles(server.sent.slice(before));
  };
  const load = (page, options) => page.evaluate((o) => web.load("m", "/fixtures/clip/", o), options);
  group.same(
    "a picture",
    await fetched(async (page) => {
      await load(page, {});
      await page.evaluate((p) => web.embedImage("m", p), PICTURE);
    }),
    ["ocelli"],
  );
  const texts = await fetched(async (page) => {
    await load(page, { towers: "text" });
    await page.evaluate(() => web.embedText("m", "a cat"));
  });
  group.same("a text", texts, ["ocelli", "ocelli_tokenizer"]);
  let known = false;
  group.same(
    "on the CPU",
    await fetched(async (page) => {
      await load(page, { backend: "cpu" });
      group.holds("verify on the CPU alone", (await page.evaluate(() => web.verify("m"))).ok);
      known = await page.evaluate(() => web.relaxedSimd());
    }),
    [known ? "ocelli_cpu_relaxed" : "ocelli_cpu"],
  );
  group.rejects("a text's files for a picture", texts, ["ocelli"]);
}
