// What the package and the engine must both know, and cannot tell each other: said in two places, and compared here. And the order in
// which the package's files import each other.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** The engine's and the package's words for one fact; a capture group has its value. */
const FACTS = {
  "bytes of pixels in one copy": [
    ["src/session/pixels.rs", /STRIP_BYTES: usize = ([^;]+);/],
    ["pkg/src/pictures/image.ts", /STRIP_BYTES = ([^;]+);/],
  ],
  "a tokenizer's files, in the order in which they are preferred": [
    ["src/config/tokenizer_files.rs", /TOKENIZER_FILES: \[&str; \d+\] =\s*\[([^\]]+)\];/],
    ["pkg/src/source/tokenizer-files.ts", /TOKENIZER_FILES = \[([^\]]+)\];/],
  ],
};

export function facts({ report, root }) {
  const said = report.group("facts that are said twice");
  for (const [fact, places] of Object.entries(FACTS)) {
    const [engine, own] = places.map(([file, pattern]) => pattern.exec(readFileSync(join(root, file), "utf8"))?.[1]);
    said.same(fact, own ?? "not found", engine ?? "not found in the engine");
    said.rejects(fact, String(own).replace(/\d|\./, "7"), engine);
  }
  const order = report.group("files that import each other in a circle");
  const files = importsOf(join(root, "pkg", "src"));
  order.same("the package", circle(files), []);
  order.holds("all of it", files.size > 40, files.size);
  const wrong = new Map([...files, ["vectors.ts", ["labels/content.ts"]]]);
  order.rejects("with an import up", circle(wrong), []);
}

/** For each file of a folder those that it imports, types included. */
function importsOf(folder) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => /(?<!\.d)\.ts$/.test(name));
  return new Map(
    names.map((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const imports = [...text.matchAll(/from "(\.[^"]*)\.js"/g)].map(([, path]) =>
        posix.join(posix.dirname(name), `${path}.ts`),
      );
      return [name, imports.filter((path) => names.includes(path))];
    }),
  );
}

/** The first circle, as the files on it; empty if there is none. */
function circle(files) {
  const done = new Set();
  const walk = (file, way) => {
    if (way.includes(file)) return way.slice(way.indexOf(file));
    if (done.has(file)) return [];
    for (const next of files.get(file) ?? []) {
      const found = walk(next, [...way, file]);
      if (found.length > 0) return found;
    }
    done.add(file);
    return [];
  };
  for (const file of files.keys()) {
    const found = walk(file, []);
    if (found.length > 0) return found;
  }
  return [];
}
