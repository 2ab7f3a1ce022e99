// Gives a wasm file's glue the short names that wasm-opt has given to the file's imports and exports: wasm-bindgen's are long and end in
// hashes, and stand in both. short_names.mjs GLUE, with what --minify-imports-and-exports-and-modules printed as its input.
import { readFileSync, writeFileSync } from "node:fs";

const [glue] = process.argv.slice(2);
const { imports, exports } = JSON.parse(readFileSync(0, "utf8"));
const imported = new Map(imports.map(([, name, short]) => [name, short]));
const exported = new Map(exports);
/** What wasm-opt calls the module of all imports. */
const MODULE = "a";

const found = new Set();
const short = (names) => (name) => {
  found.add(name);
  return names.get(name) ?? name;
};
const code = readFileSync(glue, "utf8")
  .replaceAll(`"${imports[0][0]}"`, `"${MODULE}"`)
  // Keys of the object that the imports are in.
  .replace(/(?<=^ {8})[\w$]+(?=: function\()/gm, short(imported))
  .replace(/(?<=\bwasm\.)[\w$]+/g, short(exported));
for (const name of imported.keys()) if (!found.has(name)) throw new Error(`${glue}: expected a function ${name}, found none`);
writeFileSync(glue, code);
