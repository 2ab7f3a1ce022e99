// src/index/wgsl.ts: the search's shaders as strings, because a package cannot count on being able to fetch files of its own.
import { readFileSync, writeFileSync } from "node:fs";

/** Without comments, which nobody would read there. */
const text = (name) =>
  readFileSync(new URL(`../shaders/${name}.wgsl`, import.meta.url), "utf8").replace(/\s*\/\/.*$/gm, "").replace(/\n+/g, "\n");
const shaders = { SCAN: "scan", ROWS_F32: "lib/rows_f32", ROWS_INT8: "lib/rows_int8" };
const lines = Object.entries(shaders).map(([name, file]) => `export const ${name} = ${JSON.stringify(text(file))};\n`);
writeFileSync(new URL("src/index/wgsl.ts", import.meta.url), `// Made by shaders.mjs.\n${lines.join("")}`);
