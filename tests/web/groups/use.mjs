// How the package behaves around its numbers: import, types, progress, many calls at once.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { different, largest } from "../lib/report.mjs";
import { lossless } from "../lib/fixtures.mjs";

export async function use({ page, report, fixtures, site, files }) {
  contents({ report, files });
  instructions({ report, site });
  inNode({ report, site });
  await progress({ page, report });
  await together({ page, report, fixtures });
}

function contents({ report, files }) {
  const group = report.group("files in the tarball");
  const needed = [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/labels/templates.js",
    "dist/labels/templates.d.ts",
    "dist/find/detect.js",
    "dist/find/detect.d.ts",
    "dist/find/segment.js",
    "dist/find/segment.d.ts",
    "dist/vlm/vlm.js",
    "dist/vlm/vlm.d.ts",
    "package.json",
    "dist/worker.js",
    "dist/ocelli_bg.wasm",
    "dist/ocelli_cpu_bg.wasm",
    "dist/ocelli_cpu_relaxed_bg.wasm",
    "dist/ocelli_vlm_bg.wasm",
    "dist/ocelli_vlm_cpu_bg.wasm",
    "dist/ocelli_vlm_cpu_relaxed_bg.wasm",
    "dist/ocelli_tokenizer_bg.wasm",
  ];
  const missing = (list) => needed.filter((name) => !list.includes(name));
  group.same("what is needed", missing(files), []);
  group.same(
    "what is not",
    files.filter((name) => /^src|node_modules|\.ts$/.test(name) && !name.endsWith(".d.ts")),
    [],
  );
  group.rejects("a tarball without wasm", missing(files.filter((name) => !name.endsWith(".wasm"))), []);
}

/** A browser refuses a whole file for one instruction that it does not know. */
function instructions({ report, site }) {
  const group = report.group("relaxed SIMD in the wasm files");
  const dis = fileURLToPath(new URL("../../../pkg/node_modules/binaryen/bin/wasm-dis", import.meta.url));
  const has = (name) => {
    const file = join(site.folder, `node_modules/ocelli/dist/${name}_bg.wasm`);
    const text = execFileSync("node", [dis, file], { encoding: "utf8", maxBuffer: 1 << 30 });
    return /\.relaxed_\w+/.exec(text)?.[0] ?? "none";
  };
  for (const name of ["ocelli", "ocelli_cpu", "ocelli_vlm", "ocelli_vlm_cpu", "ocelli_tokenizer"])
    group.same(name, has(name), "none");
  for (const name of ["ocelli_cpu_relaxed", "ocelli_vlm_cpu_relaxed"]) group.rejects(name, has(name), "none");
}

/** Server-side rendering: importing does nothing, loading says what is missing. */
function inNode({ report, site }) {
  const group = report.group("imported by plain Node");
  const script = (last) => `
    const before = Object.keys(globalThis).length;
    const { Ocelli, OcelliError } = await import("ocelli");
    const added = Object.keys(globalThis).length - before;
    const code = await Ocelli.load("https://example.invalid/", { backend: "webgpu" }).catch((e) => e instanceof OcelliError ? e.code : String(e));
    console.log(JSON.stringify({ added, code })); ${last}`;
  const run = (last = "") =>
    execFileSync(process.execPath, ["--input-type=module", "-e", script(last)], {
      cwd: site.folder,
      encoding: "utf8",
      stdio: "pipe",
    });
  const expected = '{"added":0,"code":"no-webgpu"}\n';
  group.same("output", run(), expected);
  const required = `const { Ocelli } = require("ocelli"); const { ImageIndex } = require("ocelli/index");
    const [{ Detector }, { Segmenter }, { Vlm }] = [require("ocelli/detect"), require("ocelli/segment"), require("ocelli/vlm")];
    console.log(Ocelli.name, ImageIndex.name, Detector.name, Segmenter.name, Vlm.name, require("ocelli/templates").best7.length);`;
  const told = execFileSync(process.execPath, ["--input-type=commonjs", "-e", required], {
    cwd: site.folder,
    encoding: "utf8",
    stdio: "pipe",
  });
  group.holds("required", /^(\S+ ){5}7\n$/.test(told), told);
  group.rejects("a module that talks", run("console.log('hello')"), expected);
}

/** Problems of a list of steps: order, growth, and the end. */
function faults(steps) {
  const found = [];
  const last = steps.at(-1);
  if (!last || last.loaded !== last.total || last.total <= 0) found.push(`ends at ${last?.loaded} of ${last?.total}`);
  if (last?.fraction !== 1) found.push(`ends at a fraction of ${last?.fraction}`);
  for (const { loaded, total, fraction } of steps) {
    if (total === 0) found.push("a total of 0");
    if (fraction !== (total === undefined ? undefined : loaded / total))
      found.push(`${fraction} of ${loaded} and ${total}`);
  }
  if (steps.some((step, i) => i > 0 && step.loaded < steps[i - 1].loaded)) found.push("goes back");
  if (steps.some((step) => step.total > 0 && step.loaded > step.total)) found.push("exceeds its total");
  if (steps.some((step, i) => i > 0 && steps[i - 1].total && !step.total)) found.push("forgets its total");
  return found;
}

async function progress({ page, report }) {
  const group = report.group("progress");
  for (const folder of ["/fixtures/clip/", "/gzip/fixtures/clip/", "/fixtures/siglip-bf16"]) {
    const { progress, info } = await page.evaluate((f) => web.load("progress", f), folder);
    group.same(folder, faults(progress), []);
    group.holds(`${folder}: info.downloadBytes`, info.downloadBytes === progress.at(-1).loaded, info.downloadBytes);
    group.rejects(`${folder}: reversed`, faults([...progress].reverse()), []);
    group.rejects(`${folder}: cut`, faults(progress.slice(0, 1)), []);
    group.holds(`${folder}: begins without a total`, !("total" in progress[0] || "fraction" in progress[0]));
    group.rejects(`${folder}: totals of 0`, faults([{ ...progress[0], total: 0, fraction: NaN }, ...progress]), []);
  }
  await page.evaluate(() => web.dispose("progress"));
}

/** Calls that overlap give what they give one by one. */
async function together({ page, report, fixtures }) {
  const group = report.group("twelve pictures at once", largest, 1e-6);
  for (const model of ["clip", "siglip"]) {
    await page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
    const names = Object.keys(fixtures.golden(model).images).slice(0, 12);
    const pictures = names.map((name) => ({ url: `/fixtures/images/${name}` }));
    const single = [];
    for (const picture of pictures)
      single.push(await page.evaluate(([m, p]) => web.embedImage(m, p), [model, picture]));
    const found = await page.evaluate(([m, p]) => web.embedImages(m, p), [model, pictures]);
    names.forEach((name, i) => group.same(`${model}: ${name}`, found[i], single[i]));
    group.rejects(`${model}: another picture's`, found[0], single[1]);
    group.holds("twelve pictures", names.length === 12, names.length);
  }
}
