// How fast the search reads its rows, beside a copy on the same device: ?rows=100000&dim=768
import { ImageIndex, passWords, Rows, Scan } from "search-parts";

const query = new URLSearchParams(location.search);
const [count, dim] = [Number(query.get("rows") ?? 100_000), Number(query.get("dim") ?? 768)];
/** What is timed takes so long at least; of several runs the fastest counts. */
const LEAST_MS = 200;
const RUNS = 5;
const out = document.querySelector("#out");
const say = (text) => (out.textContent += `${text}\n`);

/** Milliseconds of one repetition: `run(times)` is timed with many and with one, so that what each call costs once drops out. */
async function time(run) {
  const took = async (times) => {
    let best = Infinity;
    for (let i = 0; i < RUNS; i++) {
      const start = performance.now();
      await run(times);
      best = Math.min(best, performance.now() - start);
    }
    return best;
  };
  await run(1);
  let times = 2;
  while ((await took(times)) < LEAST_MS && times < 1 << 16) times *= 2;
  return ((await took(times)) - (await took(1))) / (times - 1);
}

/** Runs each dispatch of the package's so many times. */
let repeats = 1;
const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...groups) {
  for (let i = 0; i < repeats; i++) dispatch.apply(this, groups);
};

/** Bytes a millisecond as GB a second. */
const speed = (bytes, ms) => bytes / ms / 1e6;

/** Read and written. */
async function copySpeed(device, bytes) {
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [from, to] = [0, 1].map(() => device.createBuffer({ size: bytes, usage }));
  const ms = await time(async (times) => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < times; i++) encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  });
  [from, to].forEach((buffer) => buffer.destroy());
  return speed(2 * bytes, ms);
}

function random() {
  const vector = Float64Array.from({ length: dim }, () => Math.random() - 0.5);
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}

async function measure(format) {
  const rows = new Rows(dim, format);
  const index = await ImageIndex.create({ dim, modelHash: "random", format, backend: "webgpu" });
  const some = Array.from({ length: 1000 }, random);
  for (let i = 0; i < count; i++) rows.push(some[i % 1000]);
  for (let i = 0; i < count; i += 10_000) {
    const ids = Array.from({ length: Math.min(10_000, count - i) }, (_, at) => String(i + at));
    await index.add(
      ids,
      ids.map((_, at) => some[at % 1000]),
    );
  }
  const scan = await Scan.request(format);
  const bytes = count * rows.stride;
  const passes = new Uint32Array(passWords(count)).fill(0xffffffff);
  const copy = await copySpeed(scan.device, Math.min(bytes, 128 << 20) & ~3);
  const ms = await time(async (times) => {
    repeats = times;
    await scan.best(rows, passes, [some[0]]);
    repeats = 1;
  });
  scan.dispose();
  const searches = [];
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    await index.search(random(), { k: 10 });
    searches.push(performance.now() - start);
  }
  index.dispose();
  const search = searches.slice(1).sort((a, b) => a - b)[9];
  return {
    format,
    megabytes: bytes / 1e6,
    scanMs: ms,
    scan: speed(bytes, ms),
    copy,
    share: speed(bytes, ms) / copy,
    search,
  };
}

try {
  const { vendor, architecture, description } = (await navigator.gpu.requestAdapter()).info;
  say(
    `${count.toLocaleString("en")} rows of ${dim} on ${description || `${vendor} ${architecture}`}; GB/s of a copy are read and written`,
  );
  const results = [];
  for (const format of ["int8", "f32"]) {
    const r = await measure(format);
    results.push(r);
    say(
      `${format.padEnd(5)} ${r.megabytes.toFixed(0)} MB   scan ${r.scanMs.toFixed(3)} ms, ${r.scan.toFixed(1)} GB/s   copy ${r.copy.toFixed(1)} GB/s   ` +
        `share ${(100 * r.share).toFixed(0)} %   search, k = 10: ${r.search.toFixed(1)} ms`,
    );
  }
  globalThis.result = results;
} catch (error) {
  say(String(error));
  globalThis.result = String(error);
}
