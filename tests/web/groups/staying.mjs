// What goes on for long: traps, and memory that neither grows from load to load nor from call to call.
import { watchMemory } from "../lib/browser.mjs";
import { full } from "../lib/full.mjs";
import { heldBytes } from "../lib/memory.mjs";

const FOLDER = "/fixtures/siglip/";
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };
/** Under `test --full` as often as is promised, otherwise so often that a leak of each time would show. */
const [CYCLES, CALLS] = full ? [500, 10_000] : [30, 300];
/** What memory may grow by after the warm-up. */
const GROWTH = 1.05;
const MB = 1 << 20;
const BACKENDS = ["cpu", "webgpu"];

/** An engine whose memory is overwritten traps; the next call has a new one. */
export async function trap({ browser, server, report }) {
  const group = report.group("a trap in the engine");
  const page = await browser.newPage();
  await page.addInitScript(watchMemory);
  await page.goto(server.page);
  for (const backend of ["webgpu", "cpu"]) {
    const load = (name) => page.evaluate(([n, f, b]) => web.load(n, f, { backend: b }), [name, FOLDER, backend]);
    const embed = (name) => page.evaluate(([n, p]) => web.attempt(() => web.embedImage(n, p)), [name, PICTURE]);
    await load("one");
    await load("two");
    const before = await embed("one");
    const overwrite = () => page.evaluate(() => new Uint8Array(wasmMemories.at(-1).buffer).fill(255));
    const happened = async () => (await page.evaluate(() => web.happened())).join(" ");
    await overwrite();
    group.same(`${backend}: the call that meets it`, (await embed("one")).code, "internal");
    const same = (outcome) => JSON.stringify(outcome.value) === JSON.stringify(before.value);
    // They share the instance.
    const lost = `devicelost,${backend} devicelost,${backend}`;
    group.same(`${backend}: both models tell at once`, await happened(), lost);
    group.holds(`${backend}: the next call`, same(await embed("one")));
    group.holds(`${backend}: another model's next call`, same(await embed("two")));
    const restored = `restored,${backend} restored,${backend}`;
    group.same(`${backend}: what the models tell then`, await happened(), `${lost} ${restored}`);
    await page.evaluate(() => [web.dispose("one"), web.dispose("two")]);
  }
  group.rejects("a sound call has no code", "no error", "internal");
  await page.close();
  await trapInText({ browser, server, group });
}

/** The same for a text, which wasm computes asynchronously. */
async function trapInText({ browser, server, group }) {
  for (const backend of ["webgpu", "cpu"]) {
    const page = await browser.newPage();
    await page.addInitScript(watchMemory);
    await page.goto(server.page);
    await page.evaluate(([f, b]) => web.load("one", f, { backend: b }), [FOLDER, backend]);
    const embed = () => page.evaluate(() => web.attempt(() => web.embedText("one", "a cat")));
    const before = await embed();
    await page.evaluate(() => new Uint8Array(wasmMemories[0].buffer).fill(255));
    const inTime = (call) => Promise.race([call, page.waitForTimeout(20_000).then(() => ({ code: "never" }))]);
    group.same(`${backend}: a text that meets it`, (await inTime(embed())).code ?? "no error", "internal");
    const after = await inTime(embed());
    group.holds(`${backend}: the next text`, JSON.stringify(after.value) === JSON.stringify(before.value), after.code);
    await page.close();
  }
}

/** Models that are loaded, used and disposed of, one after the other. */
export async function reloads(test) {
  for (const backend of BACKENDS) await loads({ ...test, backend, cycle: picture });
  // The software adapter compiles the shaders of a model that writes for seconds at each load.
  for (const backend of full ? BACKENDS : ["cpu"]) await loads({ ...test, backend, cycle: answer, of: "Florence-2, " });
}

async function loads({ browser, server, report, backend, cycle, of = "" }) {
  const group = report.group(`${of}${backend}: ${CYCLES} models, one after the other`);
  const page = await measured(browser, server);
  const sizes = await inRounds(page, CYCLES, async (count) => {
    const sizes = [];
    while (sizes.length < count) sizes.push(await page.evaluate(cycle, [backend, PICTURE]));
    return sizes;
  });
  judge(report, group, sizes);
  await page.close();
}

async function picture([backend, picture]) {
  await web.load("cycle", "/fixtures/siglip/", { backend, towers: "vision" });
  await web.embedImage("cycle", picture);
  web.dispose("cycle");
  return web.bytes();
}

/** An encoder and a decoder, their states, and those of a search. */
async function answer([backend, picture]) {
  await web.loadVlm("cycle", "/fixtures/florence/", { backend });
  const { code, message } = await web.task("cycle", picture, "object-detection", { maxTokens: 12 });
  if (code) throw new Error(message);
  web.disposeVlm("cycle");
  return web.bytes();
}

/** Classifications by one model. */
export async function repeats(test) {
  for (const backend of BACKENDS) await classifications({ ...test, backend });
}

async function classifications({ browser, server, report, backend }) {
  const group = report.group(`${backend}: ${CALLS} classifications in one page`);
  const page = await measured(browser, server);
  await page.evaluate(
    async ([folder, backend]) => {
      await web.load("many", folder, { backend });
      await web.labels("many", "many", ["a cat", "a dog"], {});
    },
    [FOLDER, backend],
  );
  const sizes = await inRounds(page, CALLS, (count) =>
    page.evaluate(
      async ([url, count]) => {
        const sizes = [];
        for (let i = 0; i < count; i++) {
          await web.classifyBySet("many", [{ url }], {});
          sizes.push(web.bytes());
        }
        return sizes;
      },
      [PICTURE.url, count],
    ),
  );
  judge(report, group, sizes);
  await page.close();
}

/** The first is the warm-up. */
const ROUNDS = 5;

/** Sizes after each of so many times, with what JavaScript holds after each round. */
async function inRounds(page, times, work) {
  const sizes = [];
  for (let round = 0; round < ROUNDS; round++) {
    const found = await work(times / ROUNDS);
    const heap = (await heldBytes(page)) ?? 0;
    sizes.push(...found.map((size) => ({ ...size, heap })));
  }
  return sizes;
}

/** Memory of wasm, what JavaScript holds, and live GPU buffers and textures: none grows after the first round. */
function judge(report, group, sizes) {
  const words = (sizes) => {
    const [warm, last] = [sizes[sizes.length / ROUNDS - 1], sizes.at(-1)];
    const grown = (what) => (last[what] <= warm[what] * GROWTH ? "flat" : `from ${warm[what]} to ${last[what]}`);
    return `wasm ${grown("wasm")}, heap ${grown("heap")}, objects ${grown("objects")}`;
  };
  const flat = "wasm flat, heap flat, objects flat";
  group.same("memory", words(sizes), flat);
  group.holds(
    "something was measured",
    sizes.every(({ wasm }) => wasm > 0) && sizes[0].wasm > 1 << 20,
    JSON.stringify(sizes[0]),
  );
  const warm = sizes[sizes.length / ROUNDS - 1];
  const growing = {
    "an object more each time": { objects: 1 },
    "a page of wasm more each time": { wasm: 1 << 16 },
    "twice the heap in the end": { heap: (warm.heap || 1) / sizes.length },
  };
  for (const [what, more] of Object.entries(growing)) {
    const [[name, step]] = Object.entries(more);
    group.rejects(what, words(sizes.map((size, i) => ({ ...size, [name]: size[name] + (i + 1) * step }))), flat);
  }
  const told = ({ wasm, heap, objects }) =>
    `wasm ${(wasm / MB).toFixed(1)} MB, heap ${(heap / MB).toFixed(2)} MB, ${objects} buffers and textures`;
  report.note("memory after the first fifth, and at the end", `${told(warm)}; ${told(sizes.at(-1))}`);
}

/** A page that counts live buffers and textures, and the memory of wasm. */
async function measured(browser, server) {
  const page = await browser.newPage();
  await page.addInitScript(watchMemory);
  await page.addInitScript(() => {
    let objects = 0;
    for (const name of ["createBuffer", "createTexture"]) {
      const create = GPUDevice.prototype[name];
      GPUDevice.prototype[name] = function (...args) {
        const made = create.apply(this, args);
        objects++;
        const destroy = made.destroy;
        let gone = false;
        made.destroy = () => {
          if (!gone) objects--;
          gone = true;
          destroy.call(made);
        };
        return made;
      };
    }
    globalThis.measured = () => ({ objects, wasm: wasmBytes() });
  });
  await page.goto(server.page);
  return page;
}
