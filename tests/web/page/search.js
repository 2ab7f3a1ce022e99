// The search's tests, inside the browser. Numbers go back as they are; nothing is judged here.
import { ImageIndex, OcelliError } from "ocelli/index";
import { passWords, Rows, Scan, slack, unit } from "search-parts";
import { watch } from "./watch.js";

const indexes = new Map();
let models;

/** As page.js does. */
async function attempt(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { code: error instanceof OcelliError ? error.code : `not an OcelliError: ${error}`, message: error.message };
  }
}

/** Vectors travel as arrays; what is to be a picture says so. */
const vectors = (arrays) => arrays.map((array) => (Array.isArray(array) ? Float32Array.from(array) : array));
/** Functions travel as text. */
const revive = ({ filter, ...options } = {}) =>
  filter ? { ...options, filter: new Function("item", `return ${filter}`) } : options;

async function toBase64(blob) {
  const reader = new FileReader();
  const done = new Promise((resolve) => (reader.onload = resolve));
  reader.readAsDataURL(blob);
  await done;
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

globalThis.search = {
  /** Calls a method of the index of a name; its value or its error's code. */
  call: (name, method, ...args) =>
    attempt(() => {
      const index = indexes.get(name);
      if (method === "add") return index.add(args[0], vectors(args[1]), args[2]);
      if (method === "search")
        return index.search(Array.isArray(args[0]) ? Float32Array.from(args[0]) : args[0], revive(args[1]));
      if (method === "vector") return Array.from(index.vector(...args) ?? []);
      return typeof index[method] === "function" ? index[method](...args) : index[method];
    }),
  create: (name, options) => attempt(async () => void indexes.set(name, await ImageIndex.create(options))),
  load: (name, saved, options) => attempt(async () => void indexes.set(name, await ImageIndex.load(saved, options))),
  delete: (saved) => attempt(() => ImageIndex.delete(saved)),
  export: (name, kind) => attempt(async () => toBase64(await indexes.get(name).export(kind))),
  import: (name, base64, options) =>
    attempt(
      async () =>
        void indexes.set(
          name,
          await ImageIndex.import(
            Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)),
            options,
          ),
        ),
    ),
  /** Several searches, adds and removals that are under way at once. */
  atOnce: (name, calls) => Promise.all(calls.map(([method, ...args]) => search.call(name, method, ...args))),
  watched: (...args) => watch(() => search.call(...args)),
  /** How many chunks of rows a save writes. */
  async chunks(name, saved) {
    const put = IDBObjectStore.prototype.put;
    let count = 0;
    IDBObjectStore.prototype.put = function (...args) {
      if (this.name === "rows") count++;
      return put.apply(this, args);
    };
    try {
      return { ...(await search.call(name, "save", saved)), chunks: count };
    } finally {
      IDBObjectStore.prototype.put = put;
    }
  },
  /** The shader by itself, beside exact maxima; `replace` makes a wrong one of it. */
  async scan({ format, rows, queries, passes, maxBytes, replace: [from, to] = ["", ""] }) {
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      if (!descriptor.code.includes(from)) throw new Error(`not in the shader: ${from}`);
      return create.call(this, { ...descriptor, code: descriptor.code.replace(from, to) });
    };
    const dim = rows[0].length;
    const all = new Rows(dim, format);
    for (const row of rows) all.push(unit(row, dim, "row"));
    const asked = queries.map((query) => unit(query, dim, "query"));
    const bits = new Uint32Array(passWords(rows.length));
    for (const row of passes) bits[row >>> 5] |= 1 << (row & 31);
    let scan;
    try {
      scan = await Scan.request(format, maxBytes);
      const best = await scan.best(all, bits, asked);
      const exact = asked.map((query) =>
        Array.from({ length: best[0].length }, (_, group) =>
          Math.max(-2, ...passes.filter((row) => row >> 4 === group).map((row) => all.dot(row, query))),
        ),
      );
      return {
        best: best.map((scores) => Array.from(scores, (score) => Math.max(-2, score))),
        exact,
        slack: asked.map((query) => slack(query, format)),
      };
    } finally {
      GPUDevice.prototype.createShaderModule = create;
      scan?.dispose();
    }
  },
  /** As where there is no adapter. */
  async createWithoutGpu(...args) {
    const own = navigator.gpu.requestAdapter;
    navigator.gpu.requestAdapter = async () => null;
    try {
      return await search.create(...args);
    } finally {
      navigator.gpu.requestAdapter = own;
    }
  },
  /** Searches while devices are destroyed right after a submit, `times` times. */
  async losing(times, ...args) {
    const submit = GPUQueue.prototype.submit;
    let left = times;
    GPUQueue.prototype.submit = function (buffers) {
      submit.call(this, buffers);
      if (left-- > 0) search.devices.find(({ queue }) => queue === this).destroy();
    };
    try {
      return await search.call(...args);
    } finally {
      GPUQueue.prototype.submit = submit;
    }
  },
  devices: [],
  /** A loaded model for indexes: the package's own. */
  async model(folder) {
    const { Ocelli } = await import("ocelli");
    models = await Ocelli.load(folder);
    return models.info;
  },
  createWithModel: (name, options) =>
    attempt(async () => void indexes.set(name, await ImageIndex.create({ model: models, ...options }))),
  loadWithModel: (name, saved, options) =>
    attempt(async () => void indexes.set(name, await ImageIndex.load(saved, { model: models, ...options }))),
  /** Pictures by address, each as it is and, if asked for, its four quarters. */
  async pictures(urls, quarters) {
    const all = [];
    for (const url of urls) {
      const bitmap = await createImageBitmap(await (await fetch(url)).blob(), {
        premultiplyAlpha: "none",
        colorSpaceConversion: "none",
      });
      all.push(bitmap);
      const [w, h] = [bitmap.width >> 1, bitmap.height >> 1];
      for (const [x, y] of quarters
        ? [
            [0, 0],
            [w, 0],
            [0, h],
            [w, h],
          ]
        : [])
        all.push(await createImageBitmap(bitmap, x, y, w, h, { premultiplyAlpha: "none" }));
    }
    return all;
  },
  async embedded(urls, quarters) {
    return (await models.embedImages(await search.pictures(urls, quarters))).map((vector) => Array.from(vector));
  },
  embedText: async (text) => Array.from(await models.embedText(text)),
  addPictures: (name, ids, urls, options) =>
    attempt(async () => indexes.get(name).add(ids, await search.pictures(urls), options)),
  searchPicture: (name, url, options) =>
    attempt(async () => indexes.get(name).search((await search.pictures([url]))[0], options)),
  disposeModel: () => models.dispose(),
};

// Every device that is made here, for losing().
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...args) {
  const device = await request.apply(this, args);
  search.devices.push(device);
  return device;
};
