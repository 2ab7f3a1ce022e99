// A GPU that complains, has too little memory, or goes away: in a browser of its own, which is not the same afterwards.

const FOLDER = "/fixtures/siglip/";
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function gpu({ report, server, startOwn }) {
  const browser = await startOwn();
  try {
    const group = report.group("GPU errors");
    await complaint({ browser, server, group });
    await noMemory({ browser, server, group });
    await destroyed({ browser, server, group });
    if (browser.newBrowserCDPSession) await killed({ browser, server, group });
    await wrongKernels({ browser, server, group });
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

/** For a page's start: keeps the package's own device where the test finds it. */
function watchDevice() {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...options) {
    return (globalThis.device = await request.apply(this, options));
  };
}

/** A real validation error on the package's own device, which another script could cause too, while a call is under way. */
async function complaint({ browser, server, group }) {
  const page = await open(browser, server, watchDevice);
  await load(page);
  const before = await embed(page);
  const first = await page.evaluate((p) => {
    const submit = GPUQueue.prototype.submit;
    GPUQueue.prototype.submit = function (buffers) {
      GPUQueue.prototype.submit = submit;
      submit.call(this, buffers);
      queueMicrotask(() => device.createBuffer({ size: 4, usage: 0 }));
    };
    return web.attempt(() => web.embedImage("m", p));
  }, PICTURE);
  const second = await embed(page);
  group.same("the call that meets a complaint", code(first), "gpu");
  group.rejects("the one after it has no code", code(second), "gpu");
  group.holds("the one after it gives the same numbers", JSON.stringify(second.value) === JSON.stringify(before.value));
  await page.close();
}

/** Every buffer of some size is more than there is. */
async function noMemory({ browser, server, group }) {
  const page = await open(browser, server, () => {
    const create = GPUDevice.prototype.createBuffer;
    globalThis.mostBytes = 4096;
    globalThis.largest = 0;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      const { size, mappedAtCreation, label } = descriptor;
      // The room for pixels is the same whatever the batch.
      if (["strip", "narrow", "across.table", "down.table"].includes(label)) return create.call(this, descriptor);
      globalThis.largest = Math.max(globalThis.largest, size);
      return create.call(this, {
        ...descriptor,
        size: size > globalThis.mostBytes && !mappedAtCreation ? 2 ** 40 : size,
      });
    };
  });
  group.same("a load without memory", code(await load(page)), "gpu");
  await page.evaluate(() => Object.assign(globalThis, { mostBytes: Infinity, largest: 0 }));
  group.holds("a load with memory works afterwards", !(await load(page)).code);
  const before = await embed(page);
  // The largest buffers are the activations of a batch.
  await page.evaluate(() => Object.assign(globalThis, { mostBytes: globalThis.largest - 1 }));
  const small = await load(page);
  const after = await embed(page);
  group.holds(
    "with memory for a smaller batch",
    !small.code && JSON.stringify(after.value) === JSON.stringify(before.value),
    small.message ?? after.message,
  );
  await page.close();
}

/** The browser's GPU process is ended while a call runs. */
async function killed({ browser, server, group }) {
  const page = await open(browser, server, () => {});
  const session = await browser.newBrowserCDPSession();
  await survives(page, group, "a killed GPU process", async () => {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const running = embed(page);
    process.kill(processInfo.find(({ type }) => type === "GPU").id, "SIGKILL");
    return running;
  });
}

/** The device is lost while a call runs, as far as a page can see to that itself. */
async function destroyed({ browser, server, group }) {
  const page = await open(browser, server, watchDevice);
  await survives(page, group, "a lost device", () =>
    page.evaluate((p) => {
      const running = web.attempt(() => web.embedImage("m", p));
      device.destroy();
      return running;
    }, PICTURE),
  );
}

/** The call that meets the loss is made again, and so are those after it. `lose` gives that call's outcome. */
async function survives(page, group, what, lose) {
  await load(page);
  const before = await embed(page);
  const same = (outcome) => JSON.stringify(outcome.value) === JSON.stringify(before.value);
  const during = await lose();
  group.holds(`${what}: the call under way is made again`, same(during), during.message);
  const after = await embed(page);
  group.holds(`${what}: a call after it`, same(after), after.message);
  const happened = await page.evaluate(() => web.happened());
  group.same(`${what}: what the model tells`, happened.join(" "), "devicelost,webgpu restored,webgpu");
  group.holds(`${what}: another picture's numbers are not the same`, !same({ value: [...before.value].reverse() }));
  await page.close();
}

/** Drivers that miscompile: a shader whose output is doubled, in one tier or in all. */
async function wrongKernels({ browser, server, group }) {
  const spoil = (names) => `const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      const spoilt = ${names}.some((name) => descriptor.label?.startsWith(name));
      const code = spoilt ? descriptor.code.replace(/fn activate\\(x: ?f32\\) ?-> ?f32 ?\\{/, "fn activate(y: f32) -> f32 { let x = 2.0 * y;") : descriptor.code;
      if (spoilt && code === descriptor.code) throw new Error("the shader could not be spoilt");
      return create.call(this, { ...descriptor, code });
    };`;
  const load = async (init, options) => {
    const page = await browser.newPage();
    if (init) await page.addInitScript(init);
    await page.goto(server.page);
    const { value, code } = await page.evaluate(
      ([f, o]) => web.attempt(() => web.load("m", f, o)),
      [FOLDER, { tier: "auto", ...options }],
    );
    await page.close();
    return value ? [value.info.backend, value.info.tier, Boolean(value.info.note)].join(" ") : code;
  };
  const best = (await load(undefined, {})).split(" ")[1];
  group.same("no note where all is well", await load(undefined, { tier: "tiled" }), "webgpu tiled false");
  group.same(
    "a tier that computes wrongly, asked for",
    await load(spoil('["matmul_tiled"]'), { tier: "tiled" }),
    "webgpu tiled true",
  );
  const next = await load(spoil(`["matmul_${best} ", "matmul_${best}."]`), {});
  group.holds(
    "the best tier computes wrongly: another is taken",
    next.startsWith("webgpu ") && !next.includes(` ${best} `),
    `${best}, then ${next}`,
  );
  group.same(
    "every tier computes wrongly: the CPU",
    await load(spoil('["matmul"]'), { backend: "auto" }),
    "cpu plain true",
  );
}
