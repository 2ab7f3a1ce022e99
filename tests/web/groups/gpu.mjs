// A GPU that complains, has too little memory, or goes away: in a browser of its own, which is not the same afterwards.
import { start } from "../lib/browser.mjs";

const FOLDER = "/fixtures/siglip/";
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function gpu({ report, server }) {
  const browser = await start();
  try {
    const group = report.group("GPU errors");
    await complaint({ browser, server, group });
    await noMemory({ browser, server, group });
    await lost({ browser, server, group });
  } finally {
    await browser.close();
  }
}

const load = (page) => page.evaluate((f) => web.attempt(() => web.load("m", f)), FOLDER);
const embed = (page) => page.evaluate((p) => web.attempt(() => web.embedImage("m", p)), PICTURE);
const code = (outcome) => outcome.code ?? "no error";

async function open(browser, server, init) {
  const page = await browser.newPage();
  await page.addInitScript(init);
  await page.goto(server.page);
  return page;
}

/** A real validation error on the package's own device, which another script could cause too. */
async function complaint({ browser, server, group }) {
  const page = await open(browser, server, () => {
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...options) {
      return (globalThis.device = await request.apply(this, options));
    };
  });
  await load(page);
  const before = await embed(page);
  await page.evaluate(async () => {
    const seen = new Promise((resolve) => device.addEventListener("uncapturederror", resolve));
    device.createBuffer({ size: 4, usage: 0 });
    device.queue.submit([]); // Chromium reports with the next piece of work
    await seen;
  });
  const [first, second] = [await embed(page), await embed(page)];
  group.same("the call after a complaint", code(first), "gpu");
  group.rejects("the one after it has no code", code(second), "gpu");
  group.holds("the one after it gives the same numbers", JSON.stringify(second.value) === JSON.stringify(before.value));
  await page.close();
}

/** Every buffer of some size is more than there is. */
async function noMemory({ browser, server, group }) {
  const page = await open(browser, server, () => {
    const create = GPUDevice.prototype.createBuffer;
    globalThis.mostBytes = 4096;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      const { size, mappedAtCreation } = descriptor;
      return create.call(this, { ...descriptor, size: size > globalThis.mostBytes && !mappedAtCreation ? 2 ** 40 : size });
    };
  });
  group.same("a load without memory", code(await load(page)), "gpu");
  await page.evaluate(() => (globalThis.mostBytes = Infinity));
  group.holds("a load with memory works afterwards", !(await load(page)).code && !(await embed(page)).code);
  await page.close();
}

/** The browser's GPU process is ended while a call runs. */
async function lost({ browser, server, group }) {
  const page = await open(browser, server, () => {});
  await load(page);
  const before = await embed(page);
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const running = embed(page);
  process.kill(processInfo.find(({ type }) => type === "GPU").id, "SIGKILL");
  const same = (outcome) => JSON.stringify(outcome.value) === JSON.stringify(before.value);
  const during = await running;
  group.holds("the call under way is made again", same(during), during.message);
  const after = await embed(page);
  group.holds("a call after the loss", same(after), after.message);
  const happened = await page.evaluate(() => web.happened());
  group.same("what the model tells", happened.join(" "), "devicelost,webgpu restored,webgpu");
  group.holds("another picture's numbers are not the same", !same({ value: [...before.value].reverse() }));
  await page.close();
}
