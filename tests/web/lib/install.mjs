// What ships: `npm pack`, then the tarball installed: into a fresh folder, or into a project.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
/** The packages of all projects, as the lock files there have them: no network is needed. */
export const packages = join(root, "tests", "web", "consumers");

const npm = (cwd, ...args) =>
  execFileSync("npm", [...args, ...quiet], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** Packs the package of `pkg` into `folder`; returns the tarball's path. */
function pack(pkg, folder) {
  npm(folder, "pack", "--pack-destination", folder, pkg);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (!tarball) throw new Error(`npm pack ${pkg}: expected a .tgz in ${folder}, found none`);
  return join(folder, tarball);
}

/** Adds what ships to the packages of all projects, and leaves their lock file as it is. */
export function addToProjects() {
  const folder = mkdtempSync(join(tmpdir(), "ocelli-packed-"));
  try {
    npm(packages, "install", "--no-save", "--offline", pack(join(root, "pkg"), folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An example as a project of its own, named `name`, with its packages; returns its folder. */
export function projectOf(example, name) {
  const project = join(packages, "projects", name);
  rmSync(project, { recursive: true, force: true });
  const own = (path) => !/[/\\](node_modules|dist|out|\.next|public[/\\]models)$/.test(path);
  cpSync(join(root, "examples", example), project, { recursive: true, filter: own });
  // Next.js has a lock file of its own; the others find theirs in a folder above, but for pages that name files of it.
  const theirs = { "next": join(packages, "next"), "plain-html": packages }[example];
  if (theirs) symlinkSync(join(theirs, "node_modules"), join(project, "node_modules"));
  return project;
}

/** Installs the package of `pkg` into `folder`; returns the list of packed files. */
export function install(pkg, folder) {
  const tarball = pack(pkg, folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  npm(folder, "install", "--offline", tarball);
  const installed = join(folder, "node_modules", "ocelli");
  return readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(installed.length + 1))
    .sort();
}
