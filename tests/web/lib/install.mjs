// What ships: `npm pack`, then the tarball installed into a fresh folder.
import { execFileSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

/** Installs the package of `pkg` into `folder`; returns the list of packed files. */
export function install(pkg, folder) {
  const npm = (args) => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  npm(["pack", ...quiet, "--pack-destination", folder, pkg]);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (!tarball) throw new Error(`npm pack ${pkg}: expected a .tgz in ${folder}, found none`);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  npm(["install", ...quiet, "--offline", `./${tarball}`]);
  const root = join(folder, "node_modules", "ocelli");
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
}
