// The page's half of the tests of a model's life: devices that go, errors in between, workers that end, many calls at once.

const numbers = (value) =>
  value instanceof ImageData
    ? Array.from(value.data)
    : value instanceof Float32Array || value instanceof Uint32Array
      ? Array.from(value)
      : value;

/** Each kind of call, by name; what comes back is an array of numbers. */
const kinds = {
  embedImage: (model, { image }, options) => model.embedImage(image, options),
  embedImages: async (model, { image, other }, options) =>
    (await model.embedImages([image, other, image, other, other], options)).flatMap(numbers),
  embedText: (model, _, options) => model.embedText("a red square", options),
  embedTexts: async (model, _, options) =>
    (await model.embedTexts(["a cat", "a dog", "a red square"], options)).flatMap(numbers),
  classify: async (model, { image }, options) => scores(await model.classify(image, ["a cat", "a dog"], options)),
  labels: async (model, { image }, options) => {
    const set = await model.labels(["one", "two", "three"], { ...options, cache: false });
    try {
      return scores(await set.classify(image, options));
    } finally {
      set.dispose();
    }
  },
  set: async (_, { set, other }, options) => scores(await set.classify(other, options)),
  preprocess: (model, { other }, options) => model.preprocess(other, options),
  tokenize: (model, _, options) => model.tokenize("a red square", options),
  verify: async (model, _, options) => {
    const { ok, off } = await model.verify(options);
    return ok ? [1] : [off];
  },
};

const scores = (ranked) => [...ranked].sort((a, b) => a.index - b.index).map(({ score }) => score);

/** An error of the GPU that is no call's own. */
function complain() {
  life.device().createBuffer({ size: 4, usage: 0 }).destroy();
}

/** What the storm does while calls are under way. */
const faults = {
  destroy: () => life.device().destroy(),
  complain: () => setTimeout(complain, 0),
  terminate: () => life.workers.at(-1).terminate(),
};

/** How a worker dies. */
const kill = {
  "terminated": (worker) => worker.terminate(),
  "an error": (worker) => worker.dispatchEvent(new ErrorEvent("error", { message: "out of memory" })),
};

export const lifecycleCalls = ({ models, sets, made, attempt }) => ({
  /** Calls of several kinds at once; `fault` happens "now" or right after so many submits. Each outcome with its kind. */
  async storm(name, names, pictures, { fault, submit, abort, dispose } = {}) {
    const model = models.get(name);
    const [image, other] = await Promise.all(pictures.map(made));
    const given = { image, other, set: sets.get(name) };
    const stop = new AbortController();
    const act = () => {
      faults[fault]?.();
      if (abort) stop.abort();
      if (dispose) model.dispose();
    };
    if (submit) life.atSubmit(submit, act);
    const outcomes = names.map(async (kind, i) => {
      const options = abort && i % 2 ? { signal: stop.signal } : {};
      return { kind, ...(await attempt(async () => numbers(await kinds[kind](model, given, options)))) };
    });
    if (!submit) act();
    return Promise.all(outcomes);
  },
  /** Destroys the device and waits until the model says so. */
  lose: (name) =>
    new Promise((resolve) => {
      const off = models.get(name).on("devicelost", () => {
        off();
        resolve();
      });
      // A model that is lost already says nothing more.
      setTimeout(resolve, 2000);
      life.device().destroy();
    }),
  /** A long call, and another from within the listener that hears of the loss. */
  async loseDuring(name, method, picture, { times = 1, after = 0 } = {}) {
    const model = models.get(name);
    const image = picture && (await made(picture));
    let next;
    const off = model.on("devicelost", () => (next ??= attempt(async () => numbers(await model.embedText("a cat")))));
    const running = Array.from({ length: times }, () =>
      attempt(async () => numbers(await (image ? model[method](image) : model[method]()))),
    );
    if (after) await new Promise((resolve) => setTimeout(resolve, after));
    life.device().destroy();
    const during = await Promise.all(running);
    for (let i = 0; i < 200 && !next; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    off();
    return { during, next: (await next) ?? { code: "no loss was told" } };
  },
  /** A sound call and one whose buffers are too large for memory, at once. */
  async besideHuge(name, small, huge, mostBytes) {
    const model = models.get(name);
    const images = await Promise.all([small, huge].map(made));
    const create = GPUDevice.prototype.createBuffer;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      // What is between the two passes of the resize; room for pictures of usual sizes is below.
      const fails = descriptor.label === "narrow" && descriptor.size > mostBytes;
      return create.call(this, { ...descriptor, size: fails ? 2 ** 40 : descriptor.size });
    };
    try {
      return await Promise.all(
        [...images, images[0]].map((image) => attempt(async () => numbers(await model.embedImage(image)))),
      );
    } finally {
      GPUDevice.prototype.createBuffer = create;
    }
  },
  /** A call under way while the device has an error that is no call's own. */
  async complained(name, picture, when) {
    const model = models.get(name);
    const image = await made(picture);
    const seen = new Promise((resolve) => life.device().addEventListener("uncapturederror", resolve, { once: true }));
    const call = () => attempt(async () => numbers(await model.embedImage(image)));
    if (when === "before") {
      complain();
      life.device().queue.submit([]); // Chromium reports with the next piece of work
      await seen;
      return call();
    }
    life.atSubmit(1, () => queueMicrotask(complain));
    return call();
  },
  /** Three calls that are under way when the worker dies. */
  async killDuring(name, picture, how) {
    const image = await made(picture);
    const running = [1, 2, 3].map(() => attempt(async () => numbers(await models.get(name).embedImage(image))));
    await new Promise((resolve) => setTimeout(resolve, 1));
    kill[how](life.workers.at(-1));
    const never = new Promise((resolve) => setTimeout(() => resolve({ code: "never" }), 8000));
    return Promise.all(running.map((call) => Promise.race([call, never])));
  },
  kill: (how) => kill[how](life.workers.at(-1)),
  /** Calls that are stopped while a restore waits for the server: how each ends. */
  async stoppedAll(name, names, picture) {
    const model = models.get(name);
    const image = await made(picture);
    const stop = new AbortController();
    const options = { signal: stop.signal };
    const set = sets.get(name);
    const all = { ...kinds, ...longer };
    const outcomes = names.map(async (kind) => ({
      kind,
      ...(await attempt(async () => void (await all[kind](model, { image, other: image, set }, options)))),
    }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    stop.abort();
    const late = new Promise((resolve) => setTimeout(() => resolve("late"), 2000));
    return Promise.all(outcomes.map((outcome) => Promise.race([outcome, late])));
  },
  disposeSet: (name) => sets.get(name).dispose(),
  /** Loads with something wrong in storage, or with a tier that the device refuses. */
  remembered: (text) => localStorage.setItem("ocelli.devices", text),
});

const longer = {
  classifyAll: async (_, { set, image }, options) => {
    for await (const answer of set.classifyAll([image, image], options)) void answer;
  },
  learn: (model, { image }, options) => model.learn({ one: [image], two: [image] }, options),
};
