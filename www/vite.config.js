import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

// The model and the samples are fetched by address, never imported: they are copied as they are, under their own names,
// so that `?model=models/…` means the same while developing and on a static host.
const copied = ["models", "samples"];

/**
 * @param {string[]} copied Folders of this one.
 * @returns {import("vite").Plugin}
 */
export function copyFolders(copied) {
  let root = "";
  let outDir = "";
  return {
    name: "copy-folders",
    apply: "build",
    configResolved(config) {
      root = config.root;
      outDir = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const name of copied) {
        const from = join(root, name);
        if (!existsSync(from)) throw new Error(`www/${name}: expected a folder to copy, found none`);
        cpSync(from, join(outDir, name), { recursive: true });
      }
    },
  };
}

export default defineConfig({
  base: "./", // any static host, any folder
  publicDir: false,
  // Files, not data: addresses, so that the page's content security policy stays as short as it is.
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  // The package finds its wasm beside its own module; bundling it beforehand would move the one without the other.
  optimizeDeps: { exclude: ["ocelli"] },
  server: { host: "127.0.0.1", fs: { allow: [".", "../pkg"] } },
  preview: { host: "127.0.0.1" },
  plugins: [copyFolders(copied)],
});
