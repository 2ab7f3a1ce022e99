import { cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";
import { VitePWA } from "vite-plugin-pwa";

// The model and the samples are fetched by address, never imported: they are copied as they are, under their own names,
// so that `?model=models/…` means the same while developing and on a static host.
const copied = ["models", "samples", "icons"];

// For index.html, which says it as %VITE_VERSION%.
process.env.VITE_VERSION = JSON.parse(readFileSync(new URL("../pkg/package.json", import.meta.url), "utf8")).version;

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
    // Before the service worker's list of files is made, which takes what lies in the output's folder.
    writeBundle() {
      for (const name of copied) {
        const from = join(root, name);
        if (!existsSync(from)) throw new Error(`www/${name}: expected a folder to copy, found none`);
        cpSync(from, join(outDir, name), { recursive: true });
      }
    },
  };
}

/** Where the reference is built beside the app, the page leads there. @type {import("vite").Plugin} */
const reference = {
  name: "reference",
  transformIndexHtml: (html) => (process.env.OCELLI_REFERENCE ? html : html.replace(/^.*id="reference".*\n/m, "")),
};

/** The app by itself, without a network: its code, the package's wasm files, samples. Models are kept by the package. */
const offline = VitePWA({
  injectRegister: null,
  registerType: "prompt",
  manifest: {
    name: "Ocelli",
    short_name: "Ocelli",
    description: "Label, tag and search your images on your device. Nothing is uploaded.",
    start_url: "./",
    scope: "./",
    display: "standalone",
    background_color: "#f4f6f3",
    theme_color: "#0f6b52",
    icons: [
      { src: "icons/192.png", sizes: "192x192", type: "image/png" },
      { src: "icons/512.png", sizes: "512x512", type: "image/png" },
      { src: "icons/512-maskable.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
    ],
  },
  workbox: {
    // The engines of models that write are large, and kept once they are used. The rest is what workbox leaves out by itself.
    globIgnores: ["**/ocelli_vlm*", "**/node_modules/**/*", "sw.js", "workbox-*.js"],
    // The manifest and its icons are added to these.
    globPatterns: ["**/*.{html,js,css,wasm,svg}", "samples/*.png", "icons/180.png"],
    runtimeCaching: [{ urlPattern: /\/assets\/ocelli_vlm/, handler: "CacheFirst", options: { cacheName: "writing" } }],
    // These have the hash of their content in their names and never change; all others are asked for again at each update.
    dontCacheBustURLsMatching: /^assets\//,
    navigateFallback: "index.html",
    navigateFallbackDenylist: [/\/reference\//], // a site beside the app
    cleanupOutdatedCaches: true,
  },
});

export default defineConfig({
  base: "./", // any static host, any folder
  // In one file with the rest, the worker would have the bindings of engines that the app never starts.
  worker: { format: "es" },
  publicDir: false,
  build: {
    // Files, not data: addresses, so that the page's content security policy stays as short as it is.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // The package in files of its own: they are fetched beside the app's, and a page shows before them.
      output: {
        codeSplitting: {
          groups: [
            {
              name: "ocelli",
              test: /([\\/]pkg[\\/]dist|node_modules[\\/]ocelli)[\\/](?!find[\\/]|vlm[\\/]|draw[\\/]|.*ocelli_vlm)/,
              priority: 1,
            },
            { name: "ocelli-finding", test: /[\\/]pkg[\\/]dist[\\/]find[\\/]/ },
            { name: "ocelli-writing", test: /[\\/]pkg[\\/]dist[\\/]vlm[\\/]/ },
          ],
        },
      },
    },
  },
  // The package finds its wasm beside its own module; bundling it beforehand would move the one without the other.
  optimizeDeps: { exclude: ["ocelli"] },
  server: { host: "127.0.0.1", fs: { allow: [".", "../pkg"] } },
  preview: { host: "127.0.0.1" },
  plugins: [copyFolders(copied), reference, offline],
});
