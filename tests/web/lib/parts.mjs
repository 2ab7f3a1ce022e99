// Parts of the package that it does not export, as one file for a page or for Node.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Bundles files of `pkg/src`, named without their ending, as the package is bundled. */
export function bundle(pkg, names, outfile) {
  const input = names.map((name) => `export * from "./src/${name}.ts";`).join("\n");
  const options = [
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--loader:.wgsl=text",
    "--log-level=warning",
    `--outfile=${outfile}`,
  ];
  execFileSync(join(pkg, "node_modules", ".bin", "esbuild"), options, { cwd: pkg, input });
}
