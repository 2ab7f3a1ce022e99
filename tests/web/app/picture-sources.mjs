// The ways to a picture on the page "Picture".

/** Nothing newer is on its way. */
export async function settled(page) {
  await page.locator('section[aria-label="Answer"][aria-busy="false"]').waitFor({ timeout: 120_000 });
}

/** Opens what is folded under these headings. */
export async function unfold(page, ...names) {
  for (const name of names) {
    const fold = page.locator("details", {
      has: page.locator("summary", { hasText: new RegExp(`^\\s*${name}\\s*$`) }),
    });
    if ((await fold.getAttribute("open")) === null) await fold.locator("summary").first().click();
  }
}

export const alt = (page) => page.getByRole("region", { name: "Image" }).locator(".stage img").getAttribute("alt");

/** Until the page shows this picture and its answer. */
async function shown(page, name) {
  await page.getByRole("img", { name, exact: true }).first().waitFor({ timeout: 60_000 });
  await settled(page);
}

/** Chooses a sample; true if it was chosen already. */
export async function choose(page, sample) {
  const button = page.getByRole("button", { name: sample, exact: true });
  const already = (await button.getAttribute("aria-pressed")) === "true";
  await button.click();
  await shown(page, `Sample drawing: ${sample}`);
  return already;
}

const winner = (page) =>
  page
    .locator(".best")
    .innerText()
    .then((text) => text.toLowerCase());

export async function sources(page, { report, sampleBytes, sampleFile, nothing }) {
  const group = report.group("picture: pick, drop, paste, camera, screen");
  const trouble = page.locator("ocelli-picture-area [role=alert]");
  const picker = page.getByLabel("Choose an image");

  await picker.setInputFiles(sampleFile("rocket"));
  await shown(page, "Your image, rocket.png");
  group.same("picked", [await winner(page)], ["rocket"]);

  await drop(page, sampleFile("pizza"));
  await shown(page, "Your image, pizza.png");
  group.same("dropped", [await winner(page)], ["pizza"]);
  group.rejects("dropped: the one before", [await winner(page)], ["rocket"]);

  await page.evaluate(
    async (bytes) => {
      await navigator.clipboard.write([
        new ClipboardItem({ "image/png": new Blob([new Uint8Array(bytes)], { type: "image/png" }) }),
      ]);
    },
    [...sampleBytes("bicycle")],
  );
  await page.locator("h1").click();
  await page.keyboard.press("Control+V");
  await shown(page, "Your image, image.png");
  group.same("pasted", [await winner(page)], ["bicycle"]);

  // Without a size of its own, and with a sample in it, so that the right answer is known.
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 432"><image width="480" height="432" href="data:image/png;base64,${sampleBytes("cactus").toString("base64")}"/></svg>`;
  await picker.setInputFiles({ name: "cactus.svg", mimeType: "image/svg+xml", buffer: Buffer.from(drawing) });
  await shown(page, "Your image, cactus.svg");
  group.same("SVG", [await winner(page), await trouble.innerText()], ["cactus", ""]);

  await broken(page, { group, picker, trouble, sampleFile });
  await camera(page, { group, trouble, nothing });
  await screen(page, { group, trouble });
}

/** What is no picture is said in words; the old one stays, and the next one works. */
async function broken(page, { group, picker, trouble, sampleFile }) {
  await choose(page, "octopus");
  await picker.setInputFiles({ name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no picture at all") });
  await trouble
    .filter({ hasText: "broken.png: This browser can't read the file as an image. The previous image stays." })
    .waitFor();
  await settled(page);
  group.same(
    "broken: the old one stays",
    [await alt(page), await winner(page)],
    ["Sample drawing: octopus", "octopus"],
  );
  await drop(page, sampleFile("cat").replace("cat.png", "README.md"));
  await trouble.filter({ hasText: "That is not an image file." }).waitFor();
  group.same("a text: the old one stays", [await alt(page)], ["Sample drawing: octopus"]);
  await choose(page, "dog");
  group.same("the next one works", [await winner(page), await trouble.innerText()], ["dog", ""]);
}

async function camera(page, { group, trouble, nothing }) {
  const dialog = page.getByRole("dialog", { name: "Camera" });
  await page.getByRole("button", { name: "Camera" }).click();
  await dialog.waitFor();
  await page.waitForFunction(() => document.querySelector("dialog video").videoWidth > 0);
  await nothing("camera");
  await dialog.getByRole("button", { name: "Take photo" }).click();
  await shown(page, "Your photo from the camera");
  const size = () =>
    page.locator(".stage img").evaluate((image) => [image.naturalWidth > 100, image.naturalHeight > 100]);
  const off = () => page.locator("dialog video").evaluate((video) => video.srcObject === null);
  group.same("camera: a still", [await dialog.isVisible(), await off(), ...(await size())], [false, true, true, true]);

  // Closed by the keyboard, nothing is taken, and the camera is off.
  await choose(page, "dog");
  await page.getByRole("button", { name: "Camera" }).press("Enter");
  await dialog.waitFor();
  group.rejects("camera: on", [await off()], [true]);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  group.same("camera: closed", [await off(), await alt(page)], [true, "Sample drawing: dog"]);

  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  });
  await page.getByRole("button", { name: "Camera" }).click();
  await trouble.filter({ hasText: "The camera is blocked for this page." }).waitFor();
  group.same("camera: not allowed", [await alt(page), await dialog.isVisible()], ["Sample drawing: dog", false]);
}

/** The screen that the browser makes up; then a canvas in its place, so that the right answer is known. */
async function screen(page, { group, trouble }) {
  await page.getByRole("button", { name: "Screen" }).click();
  await shown(page, "Your screen");
  group.same(
    "screen: as the browser gives it",
    await page.locator(".stage img").evaluate((image) => [image.naturalWidth > 100, image.naturalHeight > 100]),
    [true, true],
  );
  await choose(page, "dog");
  await page.evaluate(() => {
    navigator.mediaDevices.getDisplayMedia = async () => {
      const picture = await createImageBitmap(await (await fetch("./samples/castle.png")).blob());
      const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
      const context = canvas.getContext("2d");
      const draw = () => context.drawImage(picture, 0, 0);
      draw();
      setInterval(draw, 50);
      return (globalThis.screenStream = canvas.captureStream(20));
    };
  });
  await page.getByRole("button", { name: "Screen" }).click();
  await shown(page, "Your screen");
  const ended = await page.evaluate(() =>
    globalThis.screenStream.getTracks().every(({ readyState }) => readyState === "ended"),
  );
  group.same("screen: one frame", [await winner(page), ended], ["castle", true]);
  await page.evaluate(() => {
    navigator.mediaDevices.getDisplayMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  });
  await page.getByRole("button", { name: "Screen" }).click();
  await trouble.filter({ hasText: "No screen was chosen" }).waitFor();
  group.same("screen: none chosen", [await alt(page)], ["Your screen"]);
}

/** A file from the system, let go in the middle of the page, as a mouse does it. */
async function drop(page, path) {
  const client = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"])
    await client.send("Input.dispatchDragEvent", { type, x: 600, y: 60, data });
  await client.detach();
}
