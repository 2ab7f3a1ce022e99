// Every kind of picture that the package takes, in every size.
import { PNG } from "pngjs";
import { readPng, rgb, turnedTo } from "../lib/fixtures.mjs";
import { different, distance, largest, precise } from "../lib/report.mjs";
import { turnsWebp } from "../lib/turning.mjs";
import { encoded } from "./numbers.mjs";

const MODEL = "siglip";
const OPAQUE = "rgb-61x37.png";
const CLEAR = "rgba-40x53.png";
const url = (name) => `/fixtures/images/${name}`;

export async function inputs({ browser, server, page, report, fixtures, native, site }) {
  await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), MODEL);
  await forms({ page, report, fixtures });
  await directly({ page, report, fixtures });
  await orientations({ browser, server, page, report, fixtures, native, site });
  await large({ page, report, fixtures, native, site });
  await inWorker({ page, report, fixtures });
}

const square = async (page, model, picture) => {
  const { base64 } = await page.evaluate(([m, p]) => web.preprocess(m, p), [model, picture]);
  return rgb(Buffer.from(base64, "base64"));
};

/** Opaque pixels arrive exactly in whatever they are wrapped; what a canvas does to clear ones, and a video to all, is measured. */
async function forms({ page, report, fixtures }) {
  const group = report.group("opaque pixels in other wrappings, bytes");
  const expected = fixtures.square(MODEL, OPAQUE);
  const pixels = encoded(fixtures.exact(OPAQUE));
  for (const form of ["File", "HTMLImageElement", "HTMLCanvasElement", "OffscreenCanvas", "VideoFrame"]) {
    const found = await square(page, MODEL, { form, url: url(OPAQUE), pixels });
    group.same(form, found, expected);
    group.rejects(`${form}, another picture's`, found, fixtures.square(MODEL, CLEAR));
  }
  group.holds(
    "the caller's ImageBitmap stays open",
    await page.evaluate(([m, u]) => web.keepsBitmap(m, u), [MODEL, url(OPAQUE)]),
  );
  for (const [form, name] of [
    ["HTMLImageElement", CLEAR],
    ["OffscreenCanvas", CLEAR],
    ["HTMLVideoElement", OPAQUE],
  ]) {
    const found = await square(page, MODEL, { form, url: url(name) });
    const right = fixtures.square(MODEL, name);
    const what = name === CLEAR ? "with alpha" : "opaque";
    report.note(
      `${form} ${what}, measured`,
      `${different(found, right)} of ${right.length} bytes differ, by ${largest(found, right)} at most`,
    );
  }
}

/** In a browser that copies video frames to the GPU (this one may not): no bitmap is made, and the frame's size is its own. */
async function directly({ page, report, fixtures }) {
  const group = report.group("a video without a bitmap, bytes");
  const call = (web_) =>
    page.evaluate(
      ([w, m, u]) => web[w]("preprocess", m, { form: "narrow HTMLVideoElement", url: u }),
      [web_, MODEL, url(OPAQUE)],
    );
  const bytes = ({ value }) => rgb(Buffer.from(value?.base64 ?? "", "base64"));
  const [direct, otherwise] = [await call("copiesVideos"), await call("watched")];
  group.same("directly", bytes(direct), fixtures.square(MODEL, OPAQUE));
  group.same("as this browser does", bytes(otherwise), fixtures.square(MODEL, OPAQUE));
  group.rejects("another picture's", bytes(direct), fixtures.square(MODEL, CLEAR));
  // The test's own bitmap, drawn before the video plays, is one of them.
  group.same("bitmaps", [direct.seen.decoded], [1]);
  group.rejects("with a bitmap", [direct.seen.decoded + 1], [1]);
  group.same("copies", [direct.copies], [1]);
  group.same("bitmaps left open", [direct.seen.open - 1, otherwise.seen.open - 1], [0, 0]);
}

const SIDEWAYS = "orientation6-57x33.webp";

/**
 * Browsers leave WebP files as they lie; the package turns them as Pillow and the native program do. In a browser that turns them itself
 * the answers are the same.
 */
async function orientations({ browser, server, page, report, fixtures, native, site }) {
  const title = "WebP files in every EXIF orientation, bytes";
  if (!native.exists) return report.skip(title, native.missing);
  const turning = await browser.newPage();
  await turning.addInitScript(turnsWebp);
  await turning.goto(server.page);
  await turning.evaluate((m) => web.load(m, `/fixtures/${m}/`), MODEL);
  const group = report.group(title);
  const beside = report.beside("the same where the browser turns them, bytes");
  const found = [];
  for (let orientation = 1; orientation <= 8; orientation++) {
    const file = site.write(`turned-${orientation}.webp`, () => turnedTo(fixtures.image(SIDEWAYS), orientation));
    const right = rgb(native.preprocess(fixtures.model(MODEL), site.path(file)).data);
    found.push(await square(page, MODEL, { url: site.url(file) }));
    group.same(orientation, found.at(-1), right);
    beside.same(orientation, await square(turning, MODEL, { url: site.url(file) }), right);
    if (orientation > 1) group.rejects(`${orientation} is not ${orientation - 1}`, found.at(-1), found.at(-2));
  }
  beside.rejects("turned twice", found[0], found[5]);
  beside.same("asked once", [await turning.evaluate(() => globalThis.probes)], [1]);
  await turning.close();
}

/** Wider than a texture may be, higher than one strip of rows: equal to what the crate makes of the same file natively. */
const LARGE = [
  [20000, 40],
  [40, 20000],
  [9000, 700],
];

async function large({ page, report, fixtures, native, site }) {
  const title = "large pictures as natively, bytes";
  if (!native.exists) return report.skip(title, native.missing);
  const group = report.group(title);
  for (const model of ["siglip", "clip"]) {
    await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
    const found = [];
    for (const [width, height] of LARGE) {
      const file = site.write(`large-${width}x${height}.png`, () => picture(width, height));
      const here = await square(page, model, { url: site.url(file) });
      group.same(
        `${model}: ${width} × ${height}`,
        here,
        rgb(native.preprocess(fixtures.model(model), site.path(file)).data),
      );
      found.push(here);
    }
    group.rejects(`${model}: another picture's`, found[0], found[1]);
  }
}

/** A PNG of waves and noise, so that every pixel matters. */
function picture(width, height) {
  const png = new PNG({ width, height, colorType: 2 });
  let noise = 1;
  for (let i = 0; i < width * height; i++) {
    noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
    const [x, y] = [i % width, Math.trunc(i / width)];
    const wave = 128 + 90 * Math.sin(x / 70 + y / 50);
    png.data.set([wave + (noise >>> 27), (x * 7 + y * 3) & 255, noise >>> 24, 255], i * 4);
  }
  return PNG.sync.write(png, { colorType: 2, deflateLevel: 1, filterType: 0 });
}

async function inWorker({ page, report, fixtures }) {
  const golden = fixtures.golden(MODEL);
  const group = report.group("in a worker", largest, 1e-4);
  const found = await page.evaluate(([m, u]) => web.inWorker(`/fixtures/${m}/`, u), [MODEL, url(OPAQUE)]);
  group.same(OPAQUE, found, golden.images[OPAQUE].embedding);
  group.rejects("another picture's", found, golden.images[CLEAR].embedding);
}
