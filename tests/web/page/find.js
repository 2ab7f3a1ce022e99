// The page's half of the tests of detectors and segmenters. Numbers go back as they are; nothing is judged here.
import { here } from "./here.js";
import { Detector } from "ocelli/detect";
import { Segmenter } from "ocelli/segment";
import { watch } from "./watch.js";

const KINDS = { detect: Detector, segment: Segmenter };

/** A mask as plain data. */
const plain = (mask) => ({
  label: mask.label,
  index: mask.index,
  cut: mask.cut,
  width: mask.width,
  height: mask.height,
  bits: Array.from(mask.bits),
  area: mask.area,
  box: mask.box,
  logits: Array.from(mask.logits),
  side: mask.side,
  rle: mask.toRLE(),
  polygons: mask.toPolygons(),
  few: mask.toPolygons(1.5),
  image: Array.from(mask.toImageData({ color: "#01020304" }).data),
});

export function findCalls({ made, attempt }) {
  const finders = new Map();
  const scenes = new Map();
  const sets = new Map();

  /** What is looked for, with pictures in place of their addresses. */
  const queries = (given) =>
    Promise.all(
      given.map(async (query) =>
        query.scene
          ? { ...query, image: scenes.get(query.scene), scene: undefined }
          : query.image
            ? { ...query, image: await made(query.image) }
            : query,
      ),
    );
  const what = (given) => (typeof given === "string" ? sets.get(given) : given);
  /** A picture, or a scene by its name. */
  const shown = async (given) => (typeof given === "string" ? scenes.get(given) : made(given));

  const calls = {
    async loadFinder(name, kind, folder, options = {}) {
      finders.get(name)?.dispose();
      const finder = await KINDS[kind].load(folder, { cache: false, ...here(options) });
      finders.set(name, finder);
      return finder.info;
    },
    look: async (name, scene, picture) => {
      scenes.set(scene, await finders.get(name).look(await made(picture)));
      const { width, height, data } = scenes.get(scene);
      return { width, height, features: data.features.map((part) => part.length) };
    },
    /** As if it had come from elsewhere. */
    copyScene: (name, scene, to) =>
      void scenes.set(to, finders.get(name).scene(structuredClone(scenes.get(scene).data))),
    badScene: (name, data) => finders.get(name).scene(data),
    async queries(name, set, given, options) {
      sets.set(set, await finders.get(name).queries(await queries(given), { cache: false, ...options }));
      return sets.get(set).labels;
    },
    /** Through a file, to another detector. */
    async movedQueries(name, set, to) {
      sets.set(to, await finders.get(name).loadQueries(sets.get(set).save()));
      return sets.get(to).labels;
    },
    cutOf: (set) => [...sets.get(set).cut],
    /** With pictures, or names of scenes; `stop` fires the call's signal when it is under way. */
    async calibrateQueries(set, examples, stop = false) {
      const controller = new AbortController();
      const given = Array.isArray(examples)
        ? await Promise.all(examples.map(async ({ image, ...more }) => ({ ...more, image: await shown(image) })))
        : examples;
      const found = sets.get(set).calibrate(given, { signal: controller.signal });
      if (stop) controller.abort();
      return found;
    },
    /** Bytes that go to the GPU while a set is asked. */
    async writtenFor(set, scene) {
      const { seen } = await watch(async () => {
        await scenes.get(scene).detect(sets.get(set));
        return {};
      });
      return seen.written;
    },
    loadQueries: (name, text) => finders.get(name).loadQueries(new Blob([text])),
    dropQueries: (set) => sets.get(set).dispose(),
    detect: async (name, picture, given, options) =>
      finders.get(name).detect(await made(picture), what(given), { cache: false, ...options }),
    detectIn: (scene, given, options) => scenes.get(scene).detect(what(given), { cache: false, ...options }),
    objectsIn: (scene, options) => scenes.get(scene).objects(options),
    /** Pictures one after the other, whatever their form. */
    async detectEach(name, pictures, given, options) {
      const all = [];
      for (const picture of pictures) {
        const image = await made(picture);
        all.push(await finders.get(name).detect(image, what(given), options));
        if (globalThis.VideoFrame && image instanceof VideoFrame) image.close();
      }
      return all;
    },
    /** As many frames as were closed within a worker while `pictures` were asked about, once all are or it takes too long. */
    async closedInWorker(channel, name, pictures, given, options) {
      let closed = 0;
      const told = new BroadcastChannel(channel);
      const all = new Promise((resolve) => {
        told.onmessage = () => ++closed === pictures.length && resolve();
        setTimeout(resolve, 5000);
      });
      await calls.detectEach(name, pictures, given, options);
      await all;
      told.close();
      return closed;
    },
    /** The same on one canvas, which shows one after the other. */
    async detectRedrawn(name, pictures, given, options) {
      const canvas = document.createElement("canvas");
      const all = [];
      for (const picture of pictures) {
        const bitmap = await made({ ...picture, form: "ImageBitmap" });
        Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        all.push(await finders.get(name).detect(canvas, what(given), options));
      }
      return all;
    },
    /** All at once: each scene with each list of labels. */
    detectAtOnce: (names, lists, options) =>
      Promise.all(names.flatMap((scene) => lists.map((labels) => calls.detectIn(scene, labels, options)))),
    segment: async (name, picture, prompts, options) => {
      const given = await Promise.all(prompts.map((prompt) => (typeof prompt === "string" ? prompt : made(prompt))));
      return (await finders.get(name).segment(await made(picture), given, { cache: false, ...options })).map(plain);
    },
    segmentIn: async (scene, prompts, options) =>
      (await scenes.get(scene).segment(prompts, { cache: false, ...options })).map(plain),
    /** Of each mask its area alone: without the time that all else of it takes. */
    areasIn: async (scene, prompts, options) =>
      (await scenes.get(scene).segment(prompts, { cache: false, ...options })).map(({ area }) => area),
    /** A call with a signal that fires before it, or when it is under way. */
    async stoppedFind(name, method, picture, texts, when) {
      const stop = new AbortController();
      const image = await made(picture);
      if (when === "before") stop.abort();
      const running = attempt(
        async () => void (await finders.get(name)[method](image, texts, { signal: stop.signal, cache: false })),
      );
      if (when === "during") stop.abort();
      return running;
    },
    /** Disposes of a set while it is asked, and of the model then. */
    async disposedWhileAsked(name, set, picture) {
      const finder = finders.get(name);
      const image = await made(picture);
      const first = attempt(() => finder.detect(image, sets.get(set), { threshold: 0 }));
      sets.get(set).dispose();
      const second = attempt(() => finder.detect(image, sets.get(set)));
      const outcomes = [(await first).value?.length, (await second).code];
      finder.dispose();
      return [...outcomes, (await attempt(() => finder.detect(image, ["x"]))).code];
    },
    happenedTo: (name, event) => new Promise((resolve) => finders.get(name).on(event, () => resolve(event))),
    disposeFinder: (name) => finders.get(name).dispose(),
  };
  return calls;
}
