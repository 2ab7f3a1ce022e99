// Bundles src/ into dist/, libraries and the glue of the wasm files included: a page needs no bundler, and a worker no import map.
import { cpSync, copyFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const wasm = ["ocelli", "ocelli_vlm"].flatMap((name) => [name, `${name}_cpu`, `${name}_cpu_relaxed`]);
wasm.push("ocelli_tokenizer");

// Chunks are named by what is in them: those of the last build would stay.
for (const name of readdirSync(here("dist")))
  if (/^(chunk|ocelli_\w+)-.*\.js$/.test(name)) rmSync(here(`dist/${name}`));

const entries = [
  "index",
  "labels/templates",
  "worker",
  "index/index",
  "find/detect",
  "find/segment",
  "vlm/vlm",
  "draw/index",
  "pipeline/index",
];

await build({
  entryPoints: entries.map((name) => here(`src/${name}.ts`)),
  outdir: here("dist"),
  bundle: true,
  splitting: true,
  loader: { ".wgsl": "text" },
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "eof",
  logLevel: "warning",
});
// Bundlers look for `new URL("…_bg.wasm", import.meta.url)`, which stands in wasm.ts.
for (const name of wasm) copyFileSync(here(`wasm/${name}_bg.wasm`), here(`dist/${name}_bg.wasm`));

// For `require`, which Node allows of modules: the same ones. TypeScript and Node judge by the package.json above a file.
for (const name of readdirSync(here("dist"), { recursive: true }))
  if (name.endsWith(".d.ts")) cpSync(here(`dist/${name}`), here(`dist/cjs/${name}`));
for (const name of entries) {
  const up = "../".repeat(name.split("/").length);
  writeFileSync(here(`dist/cjs/${name}.js`), `module.exports = require("${up}${name}.js");\n`);
}
writeFileSync(here("dist/cjs/package.json"), '{ "type": "commonjs" }\n');
