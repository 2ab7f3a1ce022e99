// What ships: `npm pack`, then the tarball installed into a fresh folder.
import { execFileSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

const npm = (cwd, ...args) =>
  execFileSync("npm", [...args, ...quiet], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** Packs the package of `pkg` into `folder`; returns the tarball's path. */
export function pack(pkg, folder) {
  npm(folder, "pack", "--pack-destination", folder, pkg);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (!tarball) throw new Error(`npm pack ${pkg}: expected a .tgz in ${folder}, found none`);
  return join(folder, tarball);
}

/** Adds the tarball to a project that has its own packages already, and leaves its lock file as it is. */
export function add(tarball, project) {
  npm(project, "install", "--no-save", "--offline", tarball);
}

/** Installs the package of `pkg` into `folder`; returns the list of packed files. */
export function install(pkg, folder) {
  const tarball = pack(pkg, folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  npm(folder, "install", "--offline", tarball);
  const root = join(folder, "node_modules", "ocelli");
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
}
