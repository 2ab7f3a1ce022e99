// Loads from every kind of source, through every kind of cache. Nothing is judged here.
import { here } from "./here.js";
import { Ocelli, OcelliError, Tokenizer } from "ocelli";

/** Live buffers, and bytes in them, by device. */
const live = new Map();
const create = GPUDevice.prototype.createBuffer;
GPUDevice.prototype.createBuffer = function (descriptor) {
  const buffer = create.call(this, descriptor);
  if (!live.has(this)) live.set(this, new Map());
  live.get(this).set(buffer, descriptor.size);
  return buffer;
};
const destroyBuffer = GPUBuffer.prototype.destroy;
GPUBuffer.prototype.destroy = function () {
  for (const buffers of live.values()) buffers.delete(this);
  destroyBuffer.call(this);
};
const destroyDevice = GPUDevice.prototype.destroy;
GPUDevice.prototype.destroy = function () {
  live.delete(this);
  destroyDevice.call(this);
};
const liveBytes = () => [...live.values()].flatMap((buffers) => [...buffers.values()]).reduce((a, b) => a + b, 0);

const full = () => new DOMException("no room", "QuotaExceededError");

/** Stores of the user's own by name; they are full after so many bytes, or cleared by another after so many answers. */
const stores = new Map();
function store(name, most = Infinity) {
  if (!stores.has(name)) {
    const map = new Map();
    const bytes = () => [...map.values()].reduce((sum, value) => sum + value.byteLength, 0);
    stores.set(name, {
      map,
      vanish: Infinity,
      async get(key) {
        if (this.vanish-- <= 0) map.clear();
        return map.get(key);
      },
      async put(key, value) {
        if (bytes() + value.byteLength > most) throw full();
        map.set(key, value);
      },
      delete: async (key) => void map.delete(key),
      keys: async () => [...map.keys()],
    });
  }
  return stores.get(name);
}

/** A file of a folder on the server. */
async function file(folder, name) {
  const response = await fetch(folder + name);
  return response.ok ? new File([await response.blob()], name) : undefined;
}

const NAMES = [
  "config.json",
  "preprocessor_config.json",
  "tokenizer_config.json",
  "tokenizer.json",
  "model.safetensors",
];
const named = async (folder, make) =>
  Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await make(await file(folder, name), name)])));

const dataUrl = (file) =>
  new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(file);
  });

/** One folder of a server in each form that the package takes. */
const forms = {
  "address": (folder) => folder,
  "URL": (folder) => new URL(folder),
  "address without its slash": (folder) => folder.slice(0, -1),
  "Blobs": (folder) => named(folder, (file) => new Blob([file])),
  "ArrayBuffers": (folder) => named(folder, (file) => file.arrayBuffer()),
  "Uint8Arrays": (folder) => named(folder, async (file) => new Uint8Array(await file.arrayBuffer())),
  "addresses": (folder) => named(folder, (_, name) => folder + name),
  "URLs": (folder) => named(folder, (_, name) => new URL(folder + name)),
  "Blobs and addresses": (folder) =>
    named(folder, (file, name) => (name.endsWith(".safetensors") ? folder + name : file)),
  "Files": async (folder) => Object.values(await named(folder, (file) => file)),
  "Files of a folder": async (folder) =>
    Object.values(
      await named(folder, (file, name) =>
        Object.defineProperty(file, "webkitRelativePath", { value: `chosen/${name}` }),
      ),
    ),
  "FileList": async (folder) => {
    const transfer = new DataTransfer();
    for (const file of await forms.Files(folder)) transfer.items.add(file);
    return transfer.files;
  },
  "directory handle": async (folder) => {
    const handle = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked", { create: true });
    for (const file of await forms.Files(folder)) {
      const writable = await (await handle.getFileHandle(file.name, { create: true })).createWritable();
      await writable.write(file);
      await writable.close();
    }
    return handle;
  },
  "signed": (folder, query) => Object.fromEntries(NAMES.map((name) => [name, `${folder}${name}?${query}`])),
  "blob addresses": (folder) => named(folder, (file) => URL.createObjectURL(file)),
  "data addresses": (folder) => named(folder, dataUrl),
  "without weights": async (folder) => ({ ...(await forms.Blobs(folder)), "model.safetensors": undefined }),
  "a number": () => 7,
  "nothing": () => null,
};

const sourceOf = ({ form, folder, query }) => forms[form](folder, query);

/** What can be said in JSON, as options. */
function optionsOf({ cache, most, authorization, ...options } = {}, signal) {
  if (cache?.store) cache = store(cache.store, most);
  const own = authorization && {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, authorization } }),
  };
  return { ...here(options), ...own, ...(cache !== undefined && { cache }), signal };
}

async function outcome(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { code: error instanceof OcelliError ? error.code : `not an OcelliError: ${error}`, message: error.message };
  }
}

const TEXTS = ["a cat", "two dogs on a sofa"];

globalThis.loading = {
  /**
   * Loads, embeds texts, or a picture where there is no text tower, and disposes. `abort` stops the load at the first report, at a
   * share of the bytes, or at the first of a kernel race's submits.
   */
  async load(source, options, abort) {
    const stop = new AbortController();
    const progress = [];
    const submit = GPUQueue.prototype.submit;
    if (abort === "race") {
      GPUQueue.prototype.submit = function (...args) {
        stop.abort();
        return submit.apply(this, args);
      };
    }
    if (abort === "before") stop.abort();
    const onProgress = (step) => {
      progress.push(step);
      if (
        abort === "first" ||
        abort === step.phase ||
        (typeof abort === "number" && step.total > 0 && step.loaded >= abort * step.total)
      )
        stop.abort();
      if (abort === "soon") setTimeout(() => stop.abort(), 50);
    };
    const result = await outcome(async () => {
      const model = await Ocelli.load(await sourceOf(source), { ...optionsOf(options, stop.signal), onProgress });
      try {
        if (abort === "race") throw new Error("there was no race");
        const info = model.info;
        const embeddings =
          info.towers === "vision"
            ? [await model.embedImage(new ImageData(new Uint8ClampedArray(4 * 64 * 64).fill(90), 64, 64))]
            : [];
        for (const text of info.towers === "vision" ? [] : TEXTS) embeddings.push(await model.embedText(text));
        return {
          embeddings: JSON.stringify(embeddings.map((numbers) => Array.from(numbers))),
          downloadBytes: info.downloadBytes,
        };
      } finally {
        model.dispose();
      }
    });
    GPUQueue.prototype.submit = submit;
    return { ...result, progress, reports: progress.length };
  },
  /** Loads at once, each with options of its own; those with `stop` are stopped after so many ms. Says how long each took. */
  together: (source, all) =>
    Promise.all(
      all.map(async ({ stop, ...options }) => {
        const start = performance.now();
        const result = await outcome(async () => {
          const signal = stop === undefined ? undefined : AbortSignal.timeout(stop);
          const model = await Ocelli.load(await sourceOf(source), optionsOf(options, signal));
          try {
            return JSON.stringify(Array.from(await model.embedText(TEXTS[0])));
          } finally {
            model.dispose();
          }
        });
        return { ...result, ms: performance.now() - start };
      }),
    ),
  /** Loads, asks nothing, and disposes. */
  loadOnly: (source, options) =>
    outcome(async () => {
      const model = await Ocelli.load(await sourceOf(source), optionsOf(options));
      model.dispose();
      return model.info.downloadBytes;
    }),
  tokens: (source, options) =>
    outcome(async () => {
      const tokenizer = await Tokenizer.load(await sourceOf(source), optionsOf(options));
      return Array.from(tokenizer.encode(TEXTS[0]));
    }),
  liveBytes,
  cached: async (options) =>
    (await Ocelli.cached(optionsOf(options))).map((entry) => ({ ...entry, when: entry.when.getTime() })),
  /** Bytes of a file that a store of the user's own holds now, maybe in the midst of a load. */
  heldOf(name, file) {
    const ofFile = [...store(name).map].filter(([key]) => key.includes(`/${file}#`) && !key.endsWith("#file"));
    return ofFile.reduce((sum, [, value]) => sum + value.byteLength, 0);
  },
  /** The same where no load is going on; `cached()` has to say what the store holds of all files. */
  async keptOf(name, file) {
    const entries = [...store(name).map].filter(([key]) => !key.endsWith("#file"));
    const held = entries.reduce((sum, [, value]) => sum + value.byteLength, 0);
    const said = (await Ocelli.cached({ cache: store(name) })).reduce((sum, { bytes }) => sum + bytes, 0);
    if (said !== held) throw new Error(`cached() says ${said}, kept are ${held} bytes`);
    return this.heldOf(name, file);
  },
  clear: (source, options) => Ocelli.clear(source, optionsOf(options)),
  /** What cached(), clear() and storage() say, also where all is forbidden or a store fails. */
  inventory: async (options) => {
    const ask = (work) => outcome(async () => (await work()) ?? "done");
    return {
      cached: await ask(() => Ocelli.cached(optionsOf(options))),
      clear: await ask(() => Ocelli.clear(undefined, optionsOf(options))),
      storage: await ask(() => Ocelli.storage()),
    };
  },
  /** A store that fails whatever it is asked. */
  breakStore(name) {
    const fail = async () => {
      throw new SyntaxError("the disk is gone");
    };
    Object.assign(store(name), { get: fail, put: fail, delete: fail, keys: fail });
  },
  /** The store loses everything after so many answers more. */
  vanish: (name, after) => void (store(name).vanish = after),
  /** Cuts a byte off every value. */
  truncate(name) {
    for (const [key, value] of store(name).map) store(name).map.set(key, value.slice(0, -1));
  },
  keys: (name) => [...store(name).map.keys()],
  /** Keys under which, or in whose values, these characters are. */
  keptWith: (name, text) =>
    [...store(name).map]
      .filter(([key, value]) => (key + new TextDecoder("latin1").decode(value)).includes(text))
      .map(([key]) => key),
  storage: () => Ocelli.storage(),
  /** As told when the browser agrees, and when it does not. */
  async persist() {
    const own = StorageManager.prototype.persist;
    const answers = [];
    for (const answer of [true, false]) {
      StorageManager.prototype.persist = async () => answer;
      answers.push((await Ocelli.storage({ persist: true })).persisted);
    }
    StorageManager.prototype.persist = own;
    return answers;
  },
  /** Changes the pieces that a store of the user's own holds under keys that contain `part`. */
  damage(name, part) {
    let count = 0;
    for (const [key, value] of store(name).map) {
      if (!key.includes(part) || key.endsWith("#file")) continue;
      const copy = value.slice();
      copy[copy.length - 1] ^= 1;
      store(name).map.set(key, copy);
      count++;
    }
    return count;
  },
  /** From now on the browser's cache has no room. */
  fillCache: () => void (Cache.prototype.put = () => Promise.reject(full())),
  kept: (name) => [...store(name).map.values()].reduce((sum, value) => sum + value.byteLength, 0),
};
