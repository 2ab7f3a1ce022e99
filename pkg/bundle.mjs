// Bundles src/ into dist/, libraries and the glue of the wasm files included: a page needs no bundler, and a worker no import map.
import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// Chunks are named by what is in them: those of the last build would stay.
for (const name of readdirSync(here("dist"))) if (name.startsWith("chunk-")) rmSync(here(`dist/${name}`));

await build({
  entryPoints: ["index", "labels/templates", "worker", "index/index"].map((name) => here(`src/${name}.ts`)),
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
// Bundlers look for `new URL("…_bg.wasm", import.meta.url)`, which stands in the glue.
for (const name of ["ocelli", "ocelli_cpu", "ocelli_tokenizer"])
  copyFileSync(here(`wasm/${name}_bg.wasm`), here(`dist/${name}_bg.wasm`));
