// node search_index.mjs PACKAGE INDEX MODEL_HASH BEST: of each vector on stdin the ids of the best, as JSON.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [packageFile, file, modelHash, best] = process.argv.slice(2);
const { ImageIndex } = await import(pathToFileURL(packageFile).href);
const index = await ImageIndex.import(new Uint8Array(readFileSync(file)), { modelHash }).catch((error) => {
  console.error(error.code, error.message);
  process.exit(1);
});
const found = [];
for (const query of JSON.parse(readFileSync(0, "utf8"))) {
  const hits = await index.search(Float32Array.from(query), { k: Number(best) });
  found.push(hits.map(({ id }) => id));
}
console.log(JSON.stringify(found));
