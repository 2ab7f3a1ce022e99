// The tests' half inside the browser. Numbers go back as they are; nothing is judged here.
import { Ocelli, OcelliError, Tokenizer } from "ocelli";
import { findCalls } from "./find.js";
import { here } from "./here.js";
import { labelCalls, later } from "./labels.js";
import { lifecycleCalls } from "./lifecycle.js";
import { pipelineCalls } from "./pipeline.js";
import { vlmCalls } from "./vlm.js";
import { copiesVideos, watch } from "./watch.js";

const EXACT = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
const models = new Map();
const sets = new Map();
/** What the models said by themselves. */
const happened = [];

const blob = async (url) => (await fetch(url)).blob();
const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

function element(url) {
  const image = new Image();
  image.src = url;
  return image;
}

async function drawn(canvas, image) {
  const bitmap = image instanceof HTMLImageElement ? image : await createImageBitmap(image, EXACT);
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return canvas;
}

async function video(canvas) {
  const element = Object.assign(document.createElement("video"), { muted: true, srcObject: canvas.captureStream(30) });
  await element.play();
  return element;
}

/** One picture in each form that the package takes. */
const forms = {
  "Blob": (url) => blob(url),
  "File": async (url) => new File([await blob(url)], "picture"),
  "ImageBitmap": async (url) => createImageBitmap(await blob(url), EXACT),
  "ImageData": (_, { width, height, base64 }) => new ImageData(new Uint8ClampedArray(bytesOf(base64)), width, height),
  "HTMLImageElement": (url) => element(url),
  "HTMLCanvasElement": async (url) => drawn(document.createElement("canvas"), await blob(url)),
  "OffscreenCanvas": async (url) => drawn(new OffscreenCanvas(1, 1), await blob(url)),
  "VideoFrame": (_, { width, height, base64 }) =>
    new VideoFrame(bytesOf(base64), { format: "RGBA", codedWidth: width, codedHeight: height, timestamp: 0 }),
  // The size of its box on the page is not that of its frames.
  "narrow HTMLVideoElement": async (url) => Object.assign(await forms.HTMLVideoElement(url), { width: 10, height: 7 }),
  "HTMLVideoElement": async (url) => video(await drawn(document.createElement("canvas"), await blob(url))),
  "Response": (url) => fetch(url),
  "URL": (url) => new URL(url, location.href),
  "ArrayBuffer": async (url) => (await fetch(url)).arrayBuffer(),
  "Uint8Array": async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer()),
  // Far below, and not shown at all: the browser does not load them by itself.
  "lazy HTMLImageElement": (url) => lazy(document.createElement("img"), url, { top: "20000px", position: "absolute" }),
  "hidden HTMLImageElement": (url) => lazy(document.createElement("img"), url, { display: "none" }),
  "lazy HTMLImageElement in a picture": (url) => {
    const image = document.createElement("img");
    const picture = document.createElement("picture");
    picture.append(Object.assign(document.createElement("source"), { srcset: url }), image);
    return lazy(image, "/nothing.png", { display: "none" });
  },
  // Pictures that cannot be read.
  "read Response": async (url) => {
    const response = await fetch(url);
    await response.text();
    return response;
  },
  "broken Blob": () => new Blob([new Uint8Array([137, 80, 78, 71, 1, 2, 3])], { type: "image/png" }),
  "text Blob": () => new Blob(["no picture"]),
  "closed ImageBitmap": async (url) => {
    const bitmap = await forms.ImageBitmap(url);
    bitmap.close();
    return bitmap;
  },
  "broken HTMLImageElement": () => element("data:image/png;base64,AAAA"),
  "closed VideoFrame": (url, pixels) => {
    const frame = forms.VideoFrame(url, pixels);
    frame.close();
    return frame;
  },
  "empty HTMLCanvasElement": () => Object.assign(document.createElement("canvas"), { width: 0, height: 0 }),
  "another site's HTMLImageElement": (url) => element(url),
  "another site's HTMLCanvasElement": async (url) => {
    const image = element(url);
    await image.decode();
    return drawn(document.createElement("canvas"), image);
  },
  "another site's ImageBitmap": async (url) => {
    const image = element(url);
    await image.decode();
    return createImageBitmap(image);
  },
  "emptied ImageData": (_, pixels) => {
    const image = forms.ImageData(_, pixels);
    structuredClone(image.data.buffer, { transfer: [image.data.buffer] });
    return image;
  },
  "endless ImageData": () => new ImageData((1 << 20) + 1, 1),
  // Of 2³² + 2¹⁸ bytes, which are 2¹⁸ in 32 bits.
  "lying ImageData": () =>
    Object.defineProperties(Object.create(ImageData.prototype), {
      width: { value: 65536 },
      height: { value: 16385 },
      data: { value: new Uint8ClampedArray(262144) },
    }),
  "hollow ImageData": () =>
    Object.defineProperties(Object.create(ImageData.prototype), {
      width: { value: 65536 },
      height: { value: 65536 },
      data: { value: [] },
    }),
  "a string": (url) => url,
  "nothing": () => null,
};

/** An image element in the page, or the `picture` around it, that waits until somebody looks at it. */
function lazy(image, url, style) {
  image.loading = "lazy";
  Object.assign(image.style, style);
  document.body.append(image.parentElement ?? image);
  image.src = url;
  return image;
}

/** Runs `work`; an error comes back as its code and message. */
async function attempt(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { code: error instanceof OcelliError ? error.code : `not an OcelliError: ${error}`, message: error.message };
  }
}

async function ask(name, method, picture) {
  const image = await forms[picture.form ?? "Blob"](picture.url, picture.pixels);
  const result = await models.get(name)[method](image);
  if (globalThis.VideoFrame && image instanceof VideoFrame) image.close();
  return result instanceof ImageData
    ? { width: result.width, height: result.height, base64: toBase64(result.data) }
    : Array.from(result);
}

const made = (picture) => forms[picture.form ?? "Blob"](picture.url, picture.pixels);

/** A generator that fails in the caller's own code after so many. */
function* failing(images, after) {
  yield* images.slice(0, after);
  throw new Error("the caller's own");
}

function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

globalThis.web = {
  ...labelCalls({ models, sets, made, attempt }),
  ...lifecycleCalls({ models, sets, made, attempt }),
  ...findCalls({ made, attempt }),
  ...vlmCalls({ made, attempt }),
  ...pipelineCalls({ attempt }),
  attempt,
  happened: () => happened,
  bytes: () => measured(),
  /** Whether this browser knows a function of `f32x4.relaxed_madd`. */
  relaxedSimd: () =>
    WebAssembly.validate(
      Uint8Array.of(
        ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0],
        ...[32, 0, 32, 1, 32, 2, 253, 133, 2, 11],
      ),
    ),
  tokenizer: (folder) => Tokenizer.load(folder),
  /** Starts wasm, so that what follows can be timed. */
  warm: () => attempt(() => Tokenizer.load("/fixtures/nothing/")),
  /** Loads a model under a name; returns its info and the progress it reported. */
  async load(name, folder, options = {}) {
    const progress = [];
    models.get(name)?.dispose();
    if (options.wasmModule) options.wasmModule = await WebAssembly.compileStreaming(fetch(options.wasmModule));
    const model = await Ocelli.load(folder, {
      cache: false,
      ...here(options),
      onProgress: (step) => progress.push(step),
    });
    models.set(name, model);
    happened.length = 0;
    for (const event of ["devicelost", "restored"]) model.on(event, (info) => happened.push([event, info.backend]));
    return { info: model.info, progress };
  },
  /** Loads with a signal that fires before the call, at the "first" report, or at the first that is "complete". */
  async loadAborted(folder, when, options = {}) {
    const stop = new AbortController();
    if (when === "before") stop.abort();
    const onProgress = ({ loaded, total }) => (when === "first" || loaded === total) && stop.abort();
    const model = await Ocelli.load(folder, {
      cache: false,
      ...here(options),
      signal: stop.signal,
      onProgress,
    });
    model.dispose();
  },
  preprocess: (name, picture) => ask(name, "preprocess", picture),
  /** A picture that never arrives, stopped after another call has ended: the first one's code, and what the other gave. */
  async besideStuck(name, method, stuck, picture) {
    const stop = new AbortController();
    const call = async (image, options) =>
      models.get(name)[method](method === "embedImages" ? [image] : image, options);
    const first = attempt(async () => call(await made(stuck), { signal: stop.signal }));
    const second = await attempt(async () => call(await made(picture)));
    stop.abort();
    const { code } = await first;
    return { code, value: second.value && Array.from([second.value].flat()[0]) };
  },
  embedImage: (name, picture) => ask(name, "embedImage", picture),
  /** All at once. */
  embedImages: (name, pictures) => Promise.all(pictures.map((picture) => ask(name, "embedImage", picture))),
  /** In one call. `how`: a generator in place of an array, bitmaps that are transferred, a signal that fires "before" or at so many, code of the caller's that throws. */
  async batch(name, pictures, how = {}) {
    const images = await Promise.all(pictures.map(made));
    const steps = [];
    const stop = new AbortController();
    if (how.abort === "before") stop.abort();
    const onProgress = (done) => {
      steps.push(done);
      if (done >= how.abort) stop.abort();
      if (how.progress === "throws") throw new Error("the caller's own");
    };
    const iterables = {
      "generator": () => images.values(),
      "later": () => later(images),
      "throws": () => failing(images, 11),
      "throws later": () => later(failing(images, 11)),
    };
    const given = iterables[how.iterable]?.() ?? how.images ?? images;
    return watch(async () => {
      const { value, ...error } = await attempt(() =>
        models.get(name).embedImages(given, { onProgress, signal: stop.signal, transfer: how.transfer ?? false }),
      );
      return { value: value?.map((embedding) => Array.from(embedding)), ...error, steps };
    });
  },
  /** Bitmaps of so many sizes, upright and flat in turn, through a model, and their pixels afterwards; what the bitmaps made on the GPU. */
  async sizes(name, count) {
    const pictures = Array.from({ length: count }, (_, at) => {
      const [long, short] = [500 + ((at * 7919) % 500), 1 + ((at * 104729) % 500)];
      const [width, height] = at % 2 ? [long, short] : [short, long];
      const pixels = Uint32Array.from({ length: width * height }, (_, i) => Math.imul(i + at, 2654435761) | 0xff000000);
      return new ImageData(new Uint8ClampedArray(pixels.buffer), width, height);
    });
    const bitmaps = await Promise.all(
      pictures.map((pixels) => createImageBitmap(pixels, { premultiplyAlpha: "none", colorSpaceConversion: "none" })),
    );
    const model = models.get(name);
    const numbers = async (images) => (await model.embedImages(images)).map((embedding) => Array.from(embedding));
    const { value, seen } = await watch(async () => ({ value: await numbers(bitmaps) }));
    bitmaps.forEach((bitmap) => bitmap.close());
    return { value, seen, ofPixels: await numbers(pictures) };
  },
  /** Two batches and a single picture at once, then a disposal while one runs. */
  async batchesAtOnce(name, pictures) {
    const images = await Promise.all(pictures.map(made));
    const model = models.get(name);
    const all = await Promise.all([
      model.embedImages(images),
      model.embedImage(images[0]),
      model.embedImages([...images].reverse()),
    ]);
    const last = model.embedImages(images);
    model.dispose();
    return [...all, await last].map((embeddings) =>
      embeddings instanceof Float32Array ? Array.from(embeddings) : embeddings.map((e) => Array.from(e)),
    );
  },
  embedTexts: (name, texts) =>
    watch(async () => {
      const { value, ...error } = await attempt(() => models.get(name).embedTexts(texts));
      return { value: value?.map((embedding) => Array.from(embedding)), ...error };
    }),
  /** A set of labels under a name; its list is spoilt afterwards. */
  async labels(name, model, names, options) {
    const set = await models.get(model).labels(names, options);
    sets.set(name, set);
    names.reverse();
    return set.names;
  },
  async classifyBySet(name, pictures, options) {
    const images = await Promise.all(pictures.map(made));
    return Promise.all(images.map((image) => sets.get(name).classify(image, options)));
  },
  watched: (call, ...args) => watch(() => attempt(() => web[call](...args))),
  copiesVideos: (call, ...args) => copiesVideos(() => watch(() => attempt(() => web[call](...args)))),
  embedText: async (name, text) => Array.from(await models.get(name).embedText(text)),
  verify: (name) => models.get(name).verify(),
  tokenize: async (name, text) => Array.from(await models.get(name).tokenize(text)),
  /** With the results' own order; the tests sort. */
  async classify(name, picture, labels, options) {
    const image = await forms[picture.form ?? "Blob"](picture.url, picture.pixels);
    return models.get(name).classify(image, labels, options);
  },
  async keepsBitmap(name, url) {
    const bitmap = await forms.ImageBitmap(url);
    await models.get(name).embedImage(bitmap);
    return bitmap.width > 0;
  },
  /** Disposes while a call runs, and returns that call's outcome. */
  async disposeDuring(name, url) {
    const image = await forms.ImageBitmap(url);
    const running = attempt(() => models.get(name).embedImage(image));
    models.get(name).dispose();
    const { code, value } = await running;
    return { code, value: value && Array.from(value) };
  },
  /** A call with a signal that fires before it, or when it is under way. */
  async stopped(name, method, given, when) {
    const first = given.url ? await made(given) : given;
    const stop = new AbortController();
    if (when === "before") stop.abort();
    const [model, options] = [models.get(name), { signal: stop.signal }];
    const running = attempt(
      async () =>
        void (await (method === "classify"
          ? model.classify(first, ["a cat", "a dog"], options)
          : model[method](first, options))),
    );
    if (when === "during") stop.abort();
    return running;
  },
  /** A model as `using` leaves it behind. */
  async used(folder) {
    const model = await Ocelli.load(folder, here({ cache: false }));
    model[Symbol.dispose]();
    model[Symbol.dispose]();
    return attempt(() => model.embedText("a cat"));
  },
  clear: (source) => Ocelli.clear(source),
  dispose: (name) => models.get(name).dispose(),
  /** The same in a worker: module workers have no import map, so by address. */
  inWorker: (folder, url) =>
    new Promise((resolve, reject) => {
      const worker = new Worker("/page/worker.js", { type: "module" });
      worker.onerror = (event) => reject(new Error(`worker: ${event.message}`));
      worker.onmessage = ({ data }) => {
        worker.terminate();
        data.error ? reject(new Error(data.error)) : resolve(data.embedding);
      };
      worker.postMessage({ folder: new URL(folder, location.href).href, url: new URL(url, location.href).href });
    }),
};
