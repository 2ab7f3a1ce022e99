// Pictures that are not there yet, files that the browser does not decode, and what becomes of transparent pixels.
import { rgb } from "../lib/fixtures.mjs";
import { different, largest } from "../lib/report.mjs";

const MODEL = "siglip";
const OPAQUE = "rgb-61x37.png";
const CLEAR = "rgba-40x53.png";
const url = (name) => `/fixtures/images/${name}`;
/** The server does not answer before the group ends. */
const NEVER = "/never.png";

export async function pictures(test) {
  const { page } = test;
  const waiting = [];
  await page.route(`**${NEVER}`, (route) => void waiting.push(route));
  await load(page);
  await elsewhere(test);
  await missing(test);
  await stuck(test);
  await drawings(test);
  await named(test);
  await transparent(test);
  await differing(test);
  // Whoever still waits gets a picture: an error would be on the page's console. What was stopped is gone.
  for (const route of waiting) await route.fulfill({ path: test.fixtures.image(OPAQUE) }).catch(() => {});
}

async function load(page) {
  await page.evaluate((m) => web.load("page", `/fixtures/${m}/`), MODEL);
  await page.evaluate((m) => web.load("worker", `/fixtures/${m}/`, { worker: true, backend: "cpu" }), MODEL);
}

const square = async (page, model, picture) => {
  const { base64 } = await page.evaluate(([m, p]) => web.preprocess(m, p), [model, picture]);
  return rgb(Buffer.from(base64, "base64"));
};

const attempted = (page, model, picture) =>
  page.evaluate(([m, p]) => web.attempt(() => web.embedImage(m, p)), [model, picture]);

async function elsewhere({ page, report, fixtures }) {
  const group = report.group("pictures that have to be fetched, bytes");
  const [expected, other] = [fixtures.square(MODEL, OPAQUE), fixtures.square(MODEL, CLEAR)];
  for (const model of ["page", "worker"]) {
    for (const form of [
      "Response",
      "URL",
      "ArrayBuffer",
      "Uint8Array",
      "lazy HTMLImageElement",
      "hidden HTMLImageElement",
      "lazy HTMLImageElement in a picture",
    ]) {
      const found = await square(page, model, { form, url: url(OPAQUE) });
      group.same(`${model}: ${form}`, found, expected);
      group.rejects(`${model}: ${form}, another picture's`, found, other);
    }
  }
}

/** On a page of its own, whose console the browser writes on. */
async function missing({ browser, server, report }) {
  const page = await browser.newPage();
  await page.goto(server.page);
  await load(page);
  const codes = report.group("pictures that cannot be fetched");
  for (const model of ["page", "worker"]) {
    for (const [form, address, code] of [
      ["Response", "/nothing.png", "not-found"],
      ["URL", "/nothing.png", "not-found"],
      ["URL", "http://127.0.0.1:9/a.png", "not-found"],
      ["read Response", url(OPAQUE), "bad-input"],
    ]) {
      codes.same(`${model}: ${form} ${address}`, (await attempted(page, model, { form, url: address })).code, code);
    }
  }
  codes.rejects("a sound one", (await attempted(page, "page", { url: url(OPAQUE) })).code ?? "none", "not-found");
  await page.close();
}

/** Whoever waits for the network waits alone. */
async function stuck({ page, report }) {
  const group = report.group("a picture that never arrives");
  // What Ocelli itself fetches ends with the call; an element's fetch is the page's.
  const ended = [];
  const failed = (request) => void (request.url().endsWith(NEVER) && ended.push(request.failure().errorText));
  page.on("requestfailed", failed);
  for (const model of ["page", "worker"]) {
    const expected = await page.evaluate(([m, p]) => web.embedImage(m, p), [model, { url: url(OPAQUE) }]);
    for (const method of ["embedImage", "embedImages"]) {
      for (const form of ["URL", "HTMLImageElement", "lazy HTMLImageElement"]) {
        const { code, value } = await page.evaluate(
          ([m, how, f, never, u]) => web.besideStuck(m, how, { form: f, url: never }, { url: u }),
          [model, method, form, NEVER, url(OPAQUE)],
        );
        group.same(`${model}: ${method}, ${form}: stopped`, code, "aborted");
        group.same(`${model}: ${method} beside ${form}`, value, expected);
      }
    }
    group.rejects(`${model}: numbers`, expected, expected.slice(1));
  }
  page.off("requestfailed", failed);
  group.same("requests that end", ended, Array(4).fill("net::ERR_ABORTED"));
}

const SVG = (size) =>
  `data:image/svg+xml,${encodeURIComponent(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 60 40"><rect width="60" height="40" fill="#fff"/><rect x="20" y="10" width="20" height="20" fill="#c00"/></svg>`)}`;

async function drawings({ page, report }) {
  const group = report.group("SVG files");
  const drawing = SVG('width="60" height="40"');
  for (const model of ["page", "worker"]) {
    const found = await square(page, model, { url: drawing });
    const pixel = (x, y) => [...found.subarray((y * 48 + x) * 3, (y * 48 + x) * 3 + 3)];
    group.same(`${model}: middle`, pixel(24, 24), [204, 0, 0]);
    group.same(`${model}: corner`, pixel(1, 1), [255, 255, 255]);
    group.rejects(`${model}: middle is not the corner`, pixel(24, 24), pixel(1, 1));
    group.same(`${model}: as an element`, found, await square(page, model, { form: "HTMLImageElement", url: drawing }));
    group.same(`${model}: broken`, (await attempted(page, model, { url: "data:,<svg" })).code, "bad-image");
  }
}

/** First bytes of files of formats that Chromium does not decode. */
const FOREIGN = {
  "HEIC": "\0\0\0\x18ftypheic\0\0\0\0mif1heic",
  "TIFF": "II*\0\x08\0\0\0",
  "JPEG XL": "\xff\x0a\0\0",
  "PDF": "%PDF-1.7",
};

async function named({ page, report }) {
  const group = report.group("formats that the browser does not decode");
  for (const model of ["page", "worker"]) {
    for (const [name, head] of Object.entries(FOREIGN)) {
      const file = `data:,${[...head].map((c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`).join("")}`;
      const { code, message } = await attempted(page, model, { url: file });
      group.same(`${model}: ${name}`, code, "bad-image");
      group.same(`${model}: ${name} is named`, message?.match(/cannot decode ([^:]*):/)?.[1], name);
    }
    const { message } = await attempted(page, model, { form: "text Blob" });
    group.rejects(`${model}: a text is none of them`, message?.match(/cannot decode ([^:]*):/)?.[1] ?? "none", "HEIC");
  }
}

async function transparent({ page, report, fixtures, native }) {
  const title = "transparent pixels on white, bytes";
  if (!native.exists) return report.skip(title, native.missing);
  const group = report.group(title);
  const right = (...more) => rgb(native.preprocess(fixtures.model(MODEL), fixtures.image(CLEAR), ...more).data);
  const white = right("--alpha", "white");
  group.same("without a word", right(), fixtures.square(MODEL, CLEAR));
  for (const options of [{}, { worker: true }, { backend: "cpu" }]) {
    const name = JSON.stringify(options);
    await page.evaluate(([m, o]) => web.load("white", `/fixtures/${m}/`, { ...o, alpha: "white" }), [MODEL, options]);
    const found = await square(page, "white", { url: url(CLEAR) });
    group.same(name, found, white);
    group.rejects(`${name}, alpha dropped`, found, fixtures.square(MODEL, CLEAR));
    group.same(`${name}, opaque`, await square(page, "white", { url: url(OPAQUE) }), fixtures.square(MODEL, OPAQUE));
  }
  const load = await page.evaluate(
    (m) => web.attempt(() => web.load("white", `/fixtures/${m}/`, { alpha: "black" })),
    MODEL,
  );
  group.same("another word", load.code, "bad-input");
}

/** A frame smaller than its canvas, as in tests/pictures/files.rs; 16 bits a channel. What a browser makes of them is its own affair. */
async function differing({ page, report, fixtures, native }) {
  if (!native.exists) return;
  const files = {
    "GIF, small frame": "R0lGODlhBAAEAIEAAAoUHsgAAADIAAAAyCwBAAEAAgACAAACBAzDMAUAOw==",
    "GIF, small frame, transparent": "R0lGODlhBAAEAIEAAAoUHsgAAADIAAAAyCH5BAEAAAMALAEAAQACAAIAAAIEDMMwBQA7",
    "PNG of 16 bits":
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAABEAIAAADEEl+gAAAAHElEQVR4nGNg+FD/QeBDw4d/HxQaDBoZ/v//DwBj3gsMybkgkAAAAABJRU5ErkJggg==",
  };
  for (const [name, base64] of Object.entries(files)) {
    const here = await attempted(page, "page", { url: `data:application/octet-stream;base64,${base64}` });
    if (here.code) {
      report.note(`${name}, measured`, here.message);
      continue;
    }
    const found = await square(page, "page", { url: `data:application/octet-stream;base64,${base64}` });
    const right = rgb(native.preprocess(fixtures.model(MODEL), Buffer.from(base64, "base64")).data);
    report.note(
      `${name}, measured`,
      `${different(found, right)} of ${right.length} bytes differ, by ${largest(found, right)} at most`,
    );
  }
}
