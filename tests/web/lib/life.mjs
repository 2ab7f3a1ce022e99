// What a page of the tests of a model's life begins with.

/** For a page's start: keeps the devices, counts what lives on them, and lets a test act at a submit. */
export function watchLife() {
  const life = { devices: [], destroyed: 0, live: 0, submits: 0, at: undefined, workers: [], storage: undefined };
  const gone = new WeakSet();
  const around = (owner, name, make) => (owner[name] = make(owner[name]));
  around(
    GPUAdapter.prototype,
    "requestDevice",
    (request) =>
      async function (...options) {
        const device = await request.apply(this, options);
        life.devices.push(device);
        return device;
      },
  );
  around(
    GPUDevice.prototype,
    "destroy",
    (destroy) =>
      function () {
        if (!gone.has(this)) life.destroyed++;
        gone.add(this);
        destroy.call(this);
      },
  );
  for (const name of ["createBuffer", "createTexture"])
    around(
      GPUDevice.prototype,
      name,
      (create) =>
        function (...args) {
          const made = create.apply(this, args);
          // The engine keeps a few of these for the next reads, of each size.
          if (args[0].label === "readback") return made;
          life.live++;
          let here = true;
          const destroy = made.destroy;
          made.destroy = () => {
            if (here) life.live--;
            here = false;
            destroy.call(made);
          };
          return made;
        },
    );
  around(
    GPUQueue.prototype,
    "submit",
    (submit) =>
      function (...args) {
        submit.apply(this, args);
        const { at } = life;
        if (!at || ++life.submits < at.submit) return;
        life.at = undefined;
        at.act();
      },
  );
  globalThis.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      life.workers.push(this);
    }
  };
  life.device = () => life.devices.at(-1);
  /** Runs `act` right after so many submits from now. */
  life.atSubmit = (submit, act) => Object.assign(life, { submits: 0, at: { submit, act } });
  globalThis.life = life;
}
