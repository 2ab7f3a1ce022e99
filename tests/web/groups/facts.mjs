// What the package and the engine must both know, and cannot tell each other: said in two places, and compared here.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The engine's and the package's words for one fact; a capture group has its value. */
const FACTS = {
  "pixels in one copy": [
    ["src/session/pixels.rs", /const STRIP: usize = ([^;]+);/],
    ["pkg/src/pictures/image.ts", /const STRIP = ([^;]+);/],
  ],
  "pixels of which rows are multiples": [
    ["src/session/pixels.rs", /const PITCH: usize = ([^;]+);/],
    ["pkg/src/pictures/image.ts", /const PITCH = ([^;]+);/],
  ],
  "a tokenizer's files, in the order in which they are preferred": [
    ["src/config/tokenizer_files.rs", /TOKENIZER_FILES: \[&str; \d+\] =\s*\[([^\]]+)\];/],
    ["pkg/src/source/tokenizer-files.ts", /TOKENIZER_FILES = \[([^\]]+)\];/],
  ],
};

/** The guide has the models that the app offers, with the same size and accuracy. */
function models(report, root) {
  const catalog = readFileSync(join(root, "www", "src", "state", "catalog.ts"), "utf8");
  const lines = readFileSync(join(root, "docs", "guides", "choosing-a-model.md"), "utf8").split("\n");
  const missing = (catalog) =>
    catalog.split('source: "hf:').flatMap((entry, at) => {
      if (at === 0) return [];
      const name = entry.slice(0, entry.indexOf('"'));
      const bytes = Number(/bytes: ([\d.e]+)/.exec(entry)?.[1]);
      const [, percent] = /percent: ([\d.]+)/.exec(entry) ?? [];
      const said = lines.find((line) => line.startsWith("|") && line.includes(`\`${name}\``)) ?? "";
      const size = bytes < 1e9 ? `${bytes / 1e6} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
      const facts = percent ? [size, `${percent}%`] : [size];
      return facts.filter((fact) => !said.includes(fact)).map((fact) => `${name}: ${fact}`);
    });
  const group = report.group("models of the app and of the guide");
  group.same("what the guide lacks", missing(catalog).join(), "");
  group.rejects("another size", missing(catalog.replace("bytes: 816e6", "bytes: 815e6")).join(), "");
}

export function facts({ report, root }) {
  const said = report.group("facts that are said twice");
  for (const [fact, places] of Object.entries(FACTS)) {
    const [engine, own] = places.map(([file, pattern]) => pattern.exec(readFileSync(join(root, file), "utf8"))?.[1]);
    said.same(fact, own ?? "not found", engine ?? "not found in the engine");
    said.rejects(fact, String(own).replace(/\d|\./, "7"), engine);
  }
  models(report, root);
}
