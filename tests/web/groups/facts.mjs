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

export function facts({ report, root }) {
  const said = report.group("facts that are said twice");
  for (const [fact, places] of Object.entries(FACTS)) {
    const [engine, own] = places.map(([file, pattern]) => pattern.exec(readFileSync(join(root, file), "utf8"))?.[1]);
    said.same(fact, own ?? "not found", engine ?? "not found in the engine");
    said.rejects(fact, String(own).replace(/\d|\./, "7"), engine);
  }
}
