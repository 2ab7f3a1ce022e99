// Live: a camera that shows a known drawing, its label on top; answers smoothed by time; the camera off when nobody sees the page;
// words where there is none.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { moduleOf } from "../lib/app-module.mjs";
import { start } from "../lib/browser.mjs";
import { largest } from "../lib/report.mjs";
import { finds } from "./live-find.mjs";
import { unfold } from "./picture-sources.mjs";

const www = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www");
const LABELS =
  "dog, cat, elephant, banana, pizza, castle, airplane, umbrella, guitar, key, bicycle, octopus, rocket, cactus, violin, tractor";
const LONG = { timeout: 60_000 };

export async function live(tools) {
  await smoothing(tools.report);
  const folder = mkdtempSync(join(tmpdir(), "ocelli-live-"));
  const film = join(folder, "guitar.mjpeg");
  writeFileSync(film, await filmed(tools.browser, "guitar"));
  const browser = await start([
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${film}`,
  ]);
  try {
    await watched(browser, tools);
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
  await chooses(tools);
  await refused(tools);
  await screen(tools);
  await finds(tools);
}

/** A film of a sample: JPEG after JPEG, which is what Chromium takes for a camera. */
async function filmed(browser, sample) {
  const data = readFileSync(join(www, "samples", `${sample}.png`)).toString("base64");
  const page = await browser.newPage();
  const jpeg = await page.evaluate(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/jpeg", 0.95).split(",")[1];
  }, data);
  await page.close();
  return Buffer.concat(Array.from({ length: 10 }, () => Buffer.from(jpeg, "base64")));
}

const best = (page) =>
  page
    .locator(".live .best")
    .innerText()
    .then((text) => text.replace(/\s[\d.>< ]+%$/, "").trim());
const frames = (page) => page.locator('[data-fact="frames"]').innerText().then(Number);
const button = (page, name) => page.getByRole("button", { name, exact: true });
/** The states of all tracks that the page was ever given. */
const tracks = (page) => page.evaluate(() => window.tracks.map((track) => track.readyState));

/** For a page's start: counts the pictures that the model's worker has at a time. */
function watchCalls() {
  window.most = 0;
  const under = new Set();
  const { postMessage, addEventListener } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (message, ...rest) {
    if (message?.path?.at(-1) === "embedImages") window.most = Math.max(window.most, under.add(message.id).size);
    return postMessage.call(this, message, ...rest);
  };
  // Before the page hears of an answer, and asks for the next one.
  const ports = new WeakSet();
  MessagePort.prototype.addEventListener = function (type, ...rest) {
    if (type === "message" && !ports.has(this)) {
      ports.add(this);
      addEventListener.call(this, "message", ({ data }) => under.delete(data?.id));
    }
    return addEventListener.call(this, type, ...rest);
  };
}

/** For a page's start: keeps the tracks that it is given, and lets a test say that the page is hidden. */
function watchTracks() {
  window.tracks = [];
  for (const name of ["getUserMedia", "getDisplayMedia"]) {
    const original = navigator.mediaDevices[name].bind(navigator.mediaDevices);
    navigator.mediaDevices[name] = async (constraints) => {
      const stream = await original(constraints);
      window.tracks.push(...stream.getTracks());
      return stream;
    };
  }
  window.hide = (hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  };
}

async function more(page, count = 2) {
  const before = await frames(page);
  await page.waitForFunction(
    (least) => Number(document.querySelector('[data-fact="frames"]').textContent) >= least,
    before + count,
    LONG,
  );
}

async function watched(browser, { open, report, axe, shots }) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    serviceWorkers: "block",
    permissions: ["camera"],
  });
  await context.addInitScript(watchTracks);
  await context.addInitScript(watchCalls);
  const page = await open(context, "live");
  const group = report.group("live: what the camera sees");
  group.same("the camera is off before anyone asks", await tracks(page), []);
  await shots(page, "live-off");
  await unfold(page, "Advanced");
  await page.getByLabel("Labels to choose from").fill(LABELS);
  await button(page, "Start the camera").click();
  await page.locator(".live .best").waitFor(LONG);
  await more(page, 3);
  await page.waitForFunction(() => document.querySelectorAll(".live [data-label]").length === 16, null, LONG);
  group.same("the drawing's label is over the picture", [await best(page)], ["guitar"]);
  group.rejects("another label", [await best(page)], ["rocket"]);
  group.holds("mirrored, as one expects of a camera", (await page.locator(".live video.mirrored").count()) === 1);
  const rows = await page.$$eval(".live [data-label]", (all) =>
    all.map(({ dataset }) => [dataset.label, Number(dataset.score)]),
  );
  group.same("and on top of the bars", [rows[0][0]], ["guitar"]);
  group.holds(
    "whose scores fall",
    rows.every(([, score], i) => i === 0 || score <= rows[i - 1][1]),
  );
  group.holds("milliseconds", /^[\d.]+ ms$/.test(await page.locator('[data-fact="milliseconds"]').innerText()));
  group.holds("frames a second", Number(await page.locator('[data-fact="rate"]').innerText()) > 0);

  await page.getByLabel("Labels to choose from").fill(LABELS.replace("guitar, ", ""));
  await page.waitForFunction(() => document.querySelectorAll(".live [data-label]").length === 15, null, LONG);
  group.holds("without that label another one is the best", (await best(page)) !== "guitar");
  await page.getByLabel("Labels to choose from").fill(LABELS);
  await page.waitForFunction(() => document.querySelectorAll(".live [data-label]").length === 16, null, LONG);
  group.same("with it, it is again", [await best(page)], ["guitar"]);
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  await page.evaluate(() => scrollTo(0, 0));
  await page.evaluate(() => scrollTo(0, 0));
  await shots(page, "live");

  const calls = report.group("live: one frame at a time");
  calls.same("in the worker", [await page.evaluate(() => window.most)], [1]);
  calls.rejects("the check meets two", [await page.evaluate(() => window.most)], [2]);

  await pauses(page, report);
  await hides(page, report);

  const gone = report.group("live: the camera is taken away");
  // The event that a browser sends when it is unplugged.
  await page.evaluate(() => window.tracks.at(-1).dispatchEvent(new Event("ended")));
  await page.getByRole("alert").getByText("The camera was disconnected").waitFor();
  gone.same("all tracks are stopped", [...new Set(await tracks(page))], ["ended"]);
  await button(page, "Start the camera").click();
  await more(page);
  gone.rejects("it starts again", await tracks(page).then((all) => [...new Set(all)]), ["ended"]);
  gone.holds("without a complaint", !(await page.getByText("The camera was disconnected").isVisible()));
  await page.close();
  await context.close();
}

async function pauses(page, report) {
  const group = report.group("live: pause and stop");
  await button(page, "Pause").click();
  // The frame that was under way.
  await page.waitForTimeout(1500);
  const before = await frames(page);
  await page.waitForTimeout(1000);
  group.same("paused: no frame is judged", [await frames(page)], [before]);
  group.same("and the last answer stays", [await best(page)], ["guitar"]);
  await button(page, "Continue").click();
  await more(page);
  group.rejects("going on: frames are judged", [await frames(page)], [before]);
  await button(page, "Stop").click();
  await button(page, "Start the camera").waitFor();
  group.same("stopped: the camera is off", [...new Set(await tracks(page))], ["ended"]);
  group.holds("which is said", await page.getByText("The camera is off.").isVisible());
  await button(page, "Start the camera").click();
  await more(page);
}

async function hides(page, report) {
  const group = report.group("live: off when nobody sees it");
  const last = async () => [(await tracks(page)).at(-1)];
  const count = async () => [(await tracks(page)).length];
  group.same("shown: on", await last(), ["live"]);
  const [before] = await count();
  await page.evaluate(() => window.hide(true));
  group.same("hidden: off", await last(), ["ended"]);
  group.rejects("the check meets a camera that is on", await last(), ["live"]);
  await page.evaluate(() => window.hide(false));
  await more(page);
  group.same("shown again: on", await last(), ["live"]);
  group.same("by a new track", await count(), [before + 1]);
  await page.getByRole("navigation").getByRole("link", { name: "Models" }).click();
  await page.waitForFunction(() => document.documentElement.dataset.page === "models");
  group.same("another page: off", await last(), ["ended"]);
  await page.getByRole("navigation").getByRole("link", { name: "Live" }).click();
  await more(page);
  group.same("back: on", await last(), ["live"]);
  await button(page, "Pause").click();
  await page.evaluate(() => window.hide(true));
  await page.evaluate(() => window.hide(false));
  group.same("paused, hidden and shown: still off", await last(), ["ended"]);
  group.same("with its last answer", [await best(page)], ["guitar"]);
  await button(page, "Continue").click();
  await more(page);
  group.same("going on: on", await last(), ["live"]);
}

/** Two cameras, each with a moving picture of its own. */
async function chooses({ open, report }) {
  const browser = await start(["--use-fake-device-for-media-stream=device-count=2", "--use-fake-ui-for-media-stream"]);
  const context = await browser.newContext({ serviceWorkers: "block", permissions: ["camera"] });
  await context.addInitScript(watchTracks);
  const page = await open(context, "live");
  await button(page, "Start the camera").click();
  await more(page);
  const group = report.group("live: one of two cameras");
  const select = page.getByLabel("Camera", { exact: true });
  const used = () => page.evaluate(() => window.tracks.at(-1).getSettings().deviceId);
  const ids = await select.locator("option").evaluateAll((all) => all.map(({ value }) => value));
  group.same("both are named", [ids.length, new Set(ids).size], [2, 2]);
  group.same("the one in use is chosen", [await select.inputValue()], [await used()]);
  const current = await select.inputValue();
  const [wanted] = ids.filter((id) => id !== current);
  group.rejects("not the other one", [await used()], [wanted]);
  await select.selectOption(wanted);
  await page.waitForFunction(() => window.tracks.length === 2, null, LONG);
  await more(page);
  group.same("chosen: it is in use", [await used()], [wanted]);
  group.same("and the first is off", await tracks(page), ["ended", "live"]);
  await button(page, "Stop").click();
  await page.evaluate(() => localStorage.setItem("ocelli-app.camera", '"gone"'));
  await page.reload();
  await button(page, "Start the camera").click();
  await more(page);
  group.holds("where the last one is gone, another one is taken", ids.includes(await used()));
  await page.close();
  await browser.close();
}

/** Cameras that refuse, each in its own words, and with a way on. */
async function refused({ fresh, open, report, axe }) {
  const context = await fresh();
  await context.addInitScript(() => {
    const devices = navigator.mediaDevices;
    const original = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
      if (window.refusal) throw new DOMException("no", window.refusal);
      return original(constraints);
    };
  });
  const page = await open(context, "live");
  const group = report.group("live: no camera, in words");
  const heard = async (name) => {
    await page.evaluate((name) => (window.refusal = name), name);
    await button(page, "Start the camera").click();
    const heading = page.getByRole("alert").getByRole("heading");
    await heading.waitFor();
    return heading.innerText();
  };
  group.same("forbidden", [await heard("NotAllowedError")], ["The camera is blocked"]);
  group.holds("with a way out", await page.getByText("Allow it next to the page's address").isVisible());
  const found = await axe(page);
  group.holds("axe", found.length === 0, found.join(" | "));
  const none = await heard("NotFoundError");
  group.same("none", [none], ["No camera found"]);
  group.rejects("words for another trouble", [none], ["The camera is blocked"]);
  group.same("in use", [await heard("NotReadableError")], ["The camera isn't responding"]);
  await page.evaluate(() => (window.refusal = undefined));
  await button(page, "Start the camera").click();
  await more(page);
  group.holds("then it works", (await page.getByRole("alert").getByRole("heading").count()) === 0);
  await page.close();
}

/** A screen that shows a drawing, in place of the camera; it is not mirrored, and ends with the page. */
async function screen({ fresh, open, report }) {
  const context = await fresh();
  await context.addInitScript(watchTracks);
  await context.addInitScript(() => {
    window.refuse = false;
    navigator.mediaDevices.getDisplayMedia = async () => {
      if (window.refuse) throw new DOMException("no", "NotAllowedError");
      const image = new Image();
      image.src = "./samples/rocket.png";
      await image.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.width, image.height];
      const context = canvas.getContext("2d");
      setInterval(() => context.drawImage(image, 0, 0), 50);
      const stream = canvas.captureStream();
      window.tracks.push(...stream.getTracks());
      return stream;
    };
  });
  const page = await open(context, "live");
  const group = report.group("live: a screen in place of the camera");
  await unfold(page, "Advanced");
  await page.getByLabel("Labels to choose from").fill(LABELS);
  await page.evaluate(() => (window.refuse = true));
  await button(page, "Watch a screen").click();
  await page.getByText("No screen was chosen").waitFor();
  await page.evaluate(() => (window.refuse = false));
  await button(page, "Watch a screen").click();
  await page.locator(".live .best").waitFor(LONG);
  await more(page, 3);
  group.same("what it shows", [await best(page)], ["rocket"]);
  group.rejects("not another thing", [await best(page)], ["guitar"]);
  group.holds("as it is", (await page.locator(".live video.mirrored").count()) === 0);
  await page.evaluate(() => window.hide(true));
  group.same("shared while one looks at it", (await tracks(page)).slice(-1), ["live"]);
  await page.evaluate(() => window.hide(false));
  await page.getByRole("navigation").getByRole("link", { name: "Models" }).click();
  await page.waitForFunction(() => document.documentElement.dataset.page === "models");
  group.same("another page ends it", [...new Set(await tracks(page))], ["ended"]);
  await page.close();
}

/** The mean by its definition, and by the time that passes rather than by frames. */
async function smoothing(report) {
  const { Smoothed, Meter } = await moduleOf("src/pages/live/smoothing.ts");
  const group = report.group("live: smoothing", largest, 1e-6);
  const run = (samples, seconds) => {
    const smoothed = new Smoothed();
    return samples.map(([at, ...values]) => [...smoothed.add(Float32Array.from(values), at, seconds)]).flat();
  };
  /** Σ of all samples by their weights: the first has what the later ones leave. */
  const reference = (samples, seconds) =>
    samples.flatMap((_, last) => {
      const shares = samples
        .slice(0, last + 1)
        .map(([at], i) => (i === 0 ? 1 : 1 - Math.exp((samples[i - 1][0] - at) / 1000 / seconds)));
      const weights = shares.map((share, i) => shares.slice(i + 1).reduce((left, later) => left * (1 - later), share));
      return samples[0].slice(1).map((_, k) => weights.reduce((sum, weight, i) => sum + weight * samples[i][k + 1], 0));
    });
  const samples = [
    [0, 1, 0],
    [40, 0, 1],
    [90, -1, 0.5],
    [1500, 0.25, 0.25],
    [1510, 2, -2],
  ];
  group.same("as by the definition", run(samples, 0.5), reference(samples, 0.5));
  group.rejects("another time", run(samples, 0.5), reference(samples, 0.6));
  group.same(
    "none at all",
    run(samples, 0),
    samples.flatMap(([, ...values]) => values),
  );
  // From 0 to 1 in a second, by 5 frames or by 50: as far.
  const step = (frames) =>
    run([[0, 0], ...Array.from({ length: frames }, (_, i) => [(1000 * (i + 1)) / frames, 1])], 0.5).at(-1);
  group.same("by time, not by frames", [step(5), step(50)], [1 - Math.exp(-2), 1 - Math.exp(-2)]);
  group.rejects("by frames", [step(5)], [1 - Math.exp(-5)]);
  const meter = new Meter();
  for (let i = 0; i <= 100; i++) meter.add(i * 50, i < 20 ? 500 : 10);
  group.same("meter: the last two seconds", [meter.rate, meter.milliseconds], [20, 10]);
}
