// What detectors are shown where pictures move: canvases and frames of videos, one after the other.
import { distance } from "../lib/report.mjs";
import { ALL, picture, tables, word } from "../lib/finders.mjs";
import { encoded } from "./numbers.mjs";

/** Of the distance between unrelated pictures. */
const LOGITS = 1e-5;
const IMAGES = ["rgb-61x37.png", "tall-23x97.png", "large-211x140.png"];
const FORMS = ["HTMLCanvasElement", "OffscreenCanvas", "VideoFrame", "HTMLVideoElement"];

export async function frames({ page, report, fixtures, site }, { model, where, golden }) {
  const unit = golden.unrelated_distance.logits;
  const group = report.group(`${model} on the ${where}: canvases and frames`, (a, b) => distance(a, b) / unit, LOGITS);
  const labels = golden.texts.map(({ text }) => word(text));
  await page.evaluate(([m, l]) => web.queries(m, "frames", l), [model, labels]);
  const ask = async (call, pictures) => {
    const found = await page.evaluate(([c, m, p, o]) => web[c](m, p, "frames", o), [call, model, pictures, ALL]);
    return found.map((one) => tables(one, labels.length, [1, 1]).logits);
  };
  const right = (image) => golden.images[image].logits.flat();
  const shown = (form, image) => ({ ...picture(image), form, pixels: encoded(fixtures.exact(image)) });
  for (const form of FORMS) {
    const made = await ask(
      "detectEach",
      IMAGES.map((image) => shown(form, image)),
    );
    IMAGES.forEach((image, i) => {
      group.same(`${form}: ${image}`, made[i], right(image));
      group.rejects(`${form}: ${image}: the one before`, made[i], right(IMAGES[(i + 2) % IMAGES.length]));
    });
  }
  const again = [...IMAGES, IMAGES[0]];
  const redrawn = await ask(
    "detectRedrawn",
    again.map((image) => picture(image)),
  );
  again.forEach((image, i) => group.same(`a canvas drawn again, ${i}: ${image}`, redrawn[i], right(image)));
  if (where !== "worker") return;
  const closed = report.beside(`${model} in a worker: copies of frames that are closed`);
  const count = (form) => counted({ page, site }, model, shown(form, IMAGES[0]));
  closed.same("frames", [await count("VideoFrame")], [3]);
  closed.rejects("canvases", [await count("HTMLCanvasElement")], [3]);
}

/** How many frames a worker closes for three pictures. */
async function counted({ page, site }, model, shown) {
  const count = `const told = new BroadcastChannel("frames");
const { close } = VideoFrame.prototype;
VideoFrame.prototype.close = function () { told.postMessage("closed"); close.call(this); };`;
  const counting = site.write("counting.js", () => count);
  const both = `import "./${counting}";\nimport "./node_modules/ocelli/dist/worker.js";`;
  const workerUrl = site.url(site.write("counting-worker.js", () => both));
  return page.evaluate(
    async ([model, options, shown]) => {
      await web.loadFinder("counted", "detect", `/fixtures/${model}/`, options);
      const closed = await web.closedInWorker("frames", "counted", Array(3).fill(shown), ["a cat"]);
      web.disposeFinder("counted");
      return closed;
    },
    [model, { backend: "cpu", worker: true, workerUrl }, shown],
  );
}
