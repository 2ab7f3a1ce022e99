// The search's parts, which the package does not export, as one file for a page.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Bundles them from `pkg/src/index` as the package is bundled. */
export function bundleParts(pkg, outfile) {
  const parts = ["image-index", "rows", "scan"].map((name) => `export * from "./src/index/${name}.ts";`).join("\n");
  const options = [
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--loader:.wgsl=text",
    "--log-level=warning",
    `--outfile=${outfile}`,
  ];
  execFileSync(join(pkg, "node_modules", ".bin", "esbuild"), options, { cwd: pkg, input: parts });
}
