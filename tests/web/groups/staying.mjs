// What goes on for long: traps, and memory that neither grows from load to load nor from call to call.
import { watchMemory } from "../lib/browser.mjs";

const FOLDER = "/fixtures/siglip/";
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };
/** Under `test --full` as often as is promised, otherwise so often that a leak of each time would show. */
const [CYCLES, CALLS] = process.env.OCELLI_FULL === "1" ? [500, 10_000] : [30, 300];
/** What memory may grow by after the warm-up. */
const GROWTH = 1.05;

export async function staying({ browser, server, report }) {
  await trap({ browser, server, report });
  await cycles({ browser, server, report });
  await calls({ browser, server, report });
}

/** An engine whose memory is overwritten traps; the next call has a new one. */
async function trap({ browser, server, report }) {
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
    await page.evaluate(() => new Uint8Array(wasmMemories.at(-1).buffer).fill(255));
    group.same(`${backend}: the call that meets it`, (await embed("one")).code, "internal");
    const same = (outcome) => JSON.stringify(outcome.value) === JSON.stringify(before.value);
    group.holds(`${backend}: the next call`, same(await embed("one")));
    // It shared the instance.
    group.holds(`${backend}: another model's next call`, same(await embed("two")));
    const happened = (await page.evaluate(() => web.happened())).join(" ");
    group.same(`${backend}: what the models tell`, happened, `devicelost,${backend} restored,${backend} devicelost,${backend} restored,${backend}`);
    await page.evaluate(() => [web.dispose("one"), web.dispose("two")]);
  }
  group.rejects("a sound call has no code", "no error", "internal");
  await page.close();
}

async function cycles({ browser, server, report }) {
  const group = report.group(`${CYCLES} models, one after the other`);
  const page = await measured(browser, server);
  const sizes = await page.evaluate(
    async ([folder, picture, cycles]) => {
      const sizes = [];
      for (let i = 0; i < cycles; i++) {
        await web.load("cycle", folder, { towers: "vision" });
        await web.embedImage("cycle", picture);
        web.dispose("cycle");
        sizes.push(web.bytes());
      }
      return sizes;
    },
    [FOLDER, PICTURE, CYCLES],
  );
  judge(group, sizes);
  await page.close();
}

async function calls({ browser, server, report }) {
  const group = report.group(`${CALLS} classifications in one page`);
  const page = await measured(browser, server);
  const sizes = await page.evaluate(
    async ([folder, url, calls]) => {
      await web.load("many", folder);
      await web.labels("many", "many", ["a cat", "a dog"], {});
      const sizes = [];
      for (let i = 0; i < calls; i++) {
        await web.classifyBySet("many", [{ url }], {});
        sizes.push(web.bytes());
      }
      return sizes;
    },
    [FOLDER, PICTURE.url, CALLS],
  );
  judge(group, sizes);
  await page.close();
}

/** Memory of wasm, and live GPU buffers and textures: the first fifth is the warm-up. */
function judge(group, sizes) {
  const words = (sizes) => {
    const [warm, last] = [sizes[Math.trunc(sizes.length / 5)], sizes.at(-1)];
    const grown = (what) => (last[what] <= warm[what] * GROWTH ? "flat" : `from ${warm[what]} to ${last[what]}`);
    return `wasm ${grown("wasm")}, objects ${grown("objects")}`;
  };
  const flat = "wasm flat, objects flat";
  group.same("memory", words(sizes), flat);
  group.holds("something was measured", sizes.every(({ wasm }) => wasm > 0) && sizes[0].wasm > 1 << 20, JSON.stringify(sizes[0]));
  group.rejects("an object more each time", words(sizes.map((size, i) => ({ ...size, objects: size.objects + i + 1 }))), flat);
  group.rejects("a page of wasm more each time", words(sizes.map((size, i) => ({ ...size, wasm: size.wasm + (i << 16) }))), flat);
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
