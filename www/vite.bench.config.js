// The benchmark's own build: the demo's site must not carry two other runtimes of 40 MB.
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defaultClientConditions, defineConfig } from "vite";
import { copyFolders } from "./vite.config.js";

const here = import.meta.dirname;
const root = (name) => {
  const from = createRequire(join(name.from, "package.json"));
  return dirname(dirname(from.resolve(`${name.of}/ort-wasm-simd-threaded.wasm`)));
};
// transformers.js pins a runtime of its own; each is measured with the one that it comes with.
const transformers = join(here, "node_modules", "@huggingface", "transformers");
const ort = root({ from: here, of: "onnxruntime-web" });
const transformersOrt = root({ from: transformers, of: "onnxruntime-web" });
const wllama = join(here, "node_modules", "@wllama", "wllama");
const version = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;

/** The runtimes' wasm and its glue, under their own names: they look for them by name. */
function copyRuntimes() {
  let outDir = "";
  return {
    name: "copy-runtimes",
    apply: "build",
    configResolved: (config) => void (outDir = join(config.root, config.build.outDir)),
    closeBundle() {
      for (const [name, folder] of [
        ["ort", ort],
        ["ort-transformers", transformersOrt],
      ]) {
        mkdirSync(join(outDir, name), { recursive: true });
        for (const kind of ["", ".asyncify"]) {
          for (const end of ["mjs", "wasm"]) {
            const file = `ort-wasm-simd-threaded${kind}.${end}`;
            cpSync(join(folder, "dist", file), join(outDir, name, file));
          }
        }
      }
      mkdirSync(join(outDir, "wllama"));
      cpSync(join(wllama, "esm", "wasm", "wllama.wasm"), join(outDir, "wllama", "wllama.wasm"));
    },
  };
}

// With these two a page may share memory among threads, which ORT's wasm needs to have more than one.
const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

export default defineConfig({
  base: "./",
  publicDir: false,
  build: {
    outDir: "../target/bench/site",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { input: ["bench.html", "bench-frame.html"] },
  },
  // Without their wasm inside: it is copied as it is.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  define: {
    __VERSIONS__: JSON.stringify({
      ocelli: version(join(here, "..", "pkg")),
      ort: version(ort),
      transformers: version(transformers),
      transformersOrt: version(transformersOrt),
      wllama: version(wllama),
    }),
  },
  preview: { host: "127.0.0.1", headers },
  plugins: [copyFolders(["models"]), copyRuntimes()],
});
