// Parts of the app that need no browser, for tests of their rules.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const www = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "www");

/** A module of the app that needs no browser. */
export async function moduleOf(path) {
  const { transformWithOxc } = await import(
    createRequire(join(www, "package.json")).resolve("vite").replace("index.cjs", "index.js")
  );
  const { code } = await transformWithOxc(readFileSync(join(www, path), "utf8"), path);
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
}
