// The page's half of the tests of label sets.
import * as templates from "ocelli/templates";
import { watch } from "./watch.js";

/** One picture after the other, as somebody's own async iterable. */
export async function* later(images) {
  for (const image of images) yield image;
}

const list = async (answers) => {
  const all = [];
  for await (const answer of answers) all.push(answer);
  return all;
};

/** The calls, with what the page keeps by name. `made` makes a picture. */
export const labelCalls = ({ models, sets, made, attempt }) => ({
  templates: () => ({ ...templates }),
  /** The same pictures one by one, all at once from two kinds of iterables, and by their embeddings. */
  async classifyInWays(name, model, pictures, options) {
    const [set, images] = [sets.get(name), await Promise.all(pictures.map(made))];
    return {
      one: await Promise.all(images.map((image) => set.classify(image, options))),
      array: await list(set.classifyAll(images, options)),
      later: await list(set.classifyAll(later(images), options)),
      embedding: (await models.get(model).embedImages(images)).map((embedding) => set.score(embedding, options)),
    };
  },
  /** Answers up to the first error, and that error. */
  async classifyAll(name, pictures, { stopAfter, ...options } = {}) {
    const images = typeof pictures === "string" ? pictures : await Promise.all(pictures.map(made));
    const stop = new AbortController();
    const answers = [];
    const { code, message } = await attempt(async () => {
      for await (const answer of sets.get(name).classifyAll(images, { ...options, signal: stop.signal })) {
        if (answers.push(answer) === stopAfter) stop.abort();
      }
    });
    return { answers, code, message };
  },
  /** Calls of `classify` that begin at once: each with its labels, and where it differs its picture; `stop` fires the call's signal. */
  async classifyAtOnce(model, picture, calls) {
    const images = await Promise.all(calls.map((call) => made(call.picture ?? picture)));
    return watch(async () => {
      const answers = calls.map(({ labels, options, stop }, i) =>
        attempt(async () => {
          const controller = new AbortController();
          const answer = models.get(model).classify(images[i], labels, { ...options, signal: controller.signal });
          if (stop) controller.abort();
          return answer;
        }),
      );
      return { answers: await Promise.all(answers) };
    });
  },
  setOf: (name) => sets.get(name),
  scoreEmbedding: (name, numbers) => sets.get(name).score(new Float32Array(numbers)),
  /** More labels than one set can hold, or as many. */
  manyLabels: (name, model, count) =>
    web.labels(
      name,
      model,
      Array.from({ length: count }, (_, i) => `label ${i}`),
    ),
  /** So many labels of random directions, from a file: the best hundred by the GPU, and by arithmetic on the embedding. */
  async largeSet(model, count, picture) {
    const dim = models.get(model).info.embeddingDim;
    const rows = Float32Array.from(
      { length: count * dim },
      (_, i) => Math.sin(i * 12.9898 + (i % 97)) / Math.sqrt(dim / 2),
    );
    const head = {
      version: 1,
      modelHash: models.get(model).info.modelHash,
      templates: ["{}"],
      score: "cosine",
      labels: Array.from({ length: count }, (_, i) => ({
        name: `label ${i}`,
        text: true,
        examples: 0,
        threshold: null,
      })),
    };
    const tensor = (rows, from, to) => ({ dtype: "F32", shape: [rows, dim], data_offsets: [from, to] });
    const none = tensor(0, rows.byteLength, rows.byteLength);
    const header = JSON.stringify({
      __metadata__: { "ocelli.labels": JSON.stringify(head) },
      texts: tensor(count, 0, rows.byteLength),
      examples: none,
      neutral: none,
      nothing: none,
    });
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    const set = await models
      .get(model)
      .loadLabels(new Blob([new BigUint64Array([BigInt(padded.length)]), padded, rows]));
    const image = await made(picture);
    const cpu = set.score(await models.get(model).embedImage(image), { topK: 100 });
    const gpu = await set.classify(image, { topK: 100 });
    set.dispose();
    return { gpu, cpu };
  },
  names: (name) => [...sets.get(name).names],
  /** With a model, all but the first picture are handed over as what it makes of them. */
  async learn(name, label, pictures, model) {
    const images = await Promise.all(pictures.map(made));
    const rest = model ? await models.get(model).embedImages(images.slice(1)) : images.slice(1);
    await sets.get(name).learn(label, [...images.slice(0, 1), ...rest]);
  },
  /** A set of pictures alone: a list of them by label. */
  async learnAlone(name, model, examples) {
    const images = await Promise.all(
      Object.entries(examples).map(async ([label, pictures]) => [label, await Promise.all(pictures.map(made))]),
    );
    sets.set(name, await models.get(model).learn(Object.fromEntries(images)));
  },
  forget: (name, label) => sets.get(name).forget(label),
  async calibrate(name, examples) {
    return sets
      .get(name)
      .calibrate(
        await Promise.all(examples.map(async ({ picture, ...others }) => ({ ...others, image: await made(picture) }))),
      );
  },
  saveLabels: async (name) => Array.from(new Uint8Array(await sets.get(name).save().arrayBuffer())),
  async loadLabels(name, model, bytes) {
    sets.set(name, await models.get(model).loadLabels(bytes && new Blob([new Uint8Array(bytes)])));
  },
  disposeLabels: (name) => sets.get(name).dispose(),
  /** Learns twice and classifies meanwhile: answers are those of one moment or another. */
  async learnAtOnce(name, label, pictures) {
    const [set, images] = [sets.get(name), await Promise.all(pictures.map(made))];
    const all = await Promise.all([
      set.learn(label, images.slice(0, 1)),
      set.classify(images[0]),
      set.learn(label, images.slice(1)),
      set.classify(images[0]),
    ]);
    set.dispose();
    return all.filter(Array.isArray);
  },
  /** Runs a call while the browser's cache is one that fails. */
  async withoutCaches(call, ...args) {
    const own =
      Object.getOwnPropertyDescriptor(globalThis, "caches") ??
      Object.getOwnPropertyDescriptor(Object.getPrototypeOf(globalThis), "caches");
    const fails = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
    Object.defineProperty(globalThis, "caches", { configurable: true, value: { open: fails } });
    try {
      return await web[call](...args);
    } finally {
      Object.defineProperty(globalThis, "caches", { ...own, configurable: true });
    }
  },
  /** How many entries the browser's cache of labels has; `damage` puts something else in their place. */
  async labelEntries(damage) {
    const cache = await caches.open("ocelli-labels");
    const entries = await cache.keys();
    for (const entry of damage === undefined ? [] : entries) await cache.put(entry, new Response(damage));
    return entries.length;
  },
});
