// Names a wasm file's functions so that wasm-opt's --reorder-functions-by-name puts similar ones side by side: gzip finds
// repetitions within 32 kB only. order_functions.mjs FILE
import { readFileSync, writeFileSync } from "node:fs";

/** Bytes in a row that count as something in common. */
const GRAM = 5;
/** What more functions than this have in common says nothing. */
const COMMON = 60;
/** How many functions back are looked at. */
const BACK = 5;

const file = process.argv[2];
const wasm = readFileSync(file);

function leb(at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = wasm[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

const encoded = (value) => (value < 128 ? [value] : [(value % 128) + 128, ...encoded(Math.floor(value / 128))]);
const sized = (bytes) => [...encoded(bytes.length), ...bytes];

/** Start and end of every section, by id. */
const sections = {};
for (let at = 8; at < wasm.length; ) {
  const [size, start] = leb(at + 1);
  sections[wasm[at]] = [start, start + size];
  at = start + size;
}

function bodies() {
  let [count, at] = leb(sections[10][0]);
  return Array.from({ length: count }, () => {
    const [size, start] = leb(at);
    at = start + size;
    return wasm.subarray(start, at);
  });
}

/** Only functions are imported by wasm-bindgen's modules. */
const imports = leb(sections[2][0])[0];

const functions = bodies();
const grams = functions.map((body) => {
  const found = new Set();
  for (let at = 0; at + GRAM <= body.length; at++) found.add(body.readUIntBE(at, GRAM));
  return found;
});
const owners = new Map();
grams.forEach((found, i) => found.forEach((gram) => owners.get(gram)?.push(i) ?? owners.set(gram, [i])));

/** Each next function has most in common with those just before it. */
function similar() {
  const left = new Set(functions.keys());
  const order = [];
  let next = 0;
  while (next !== undefined) {
    left.delete(next);
    order.push(next);
    const scores = new Map();
    order.slice(-BACK).forEach((before, i, all) => {
      for (const gram of grams[before]) {
        const having = owners.get(gram);
        if (having.length > COMMON) continue;
        for (const other of having) if (left.has(other)) scores.set(other, (scores.get(other) ?? 0) + 1 / (all.length - i));
      }
    });
    let most = 0;
    [next] = left;
    for (const [other, score] of scores) {
      const relative = score / Math.sqrt(functions[other].length + 30);
      if (relative > most) [most, next] = [relative, other];
    }
  }
  return order;
}

const text = (value) => sized([...Buffer.from(value)]);
const place = [];
similar().forEach((index, at) => (place[index] = at));
const names = [...Array(imports).keys(), ...place.map((at) => imports + at)];
const entries = names.flatMap((at, index) => [...encoded(index), ...text(String(at).padStart(6, "0"))]);
const custom = [...text("name"), 1, ...sized([...encoded(names.length), ...entries])];
writeFileSync(file, Buffer.concat([wasm, Buffer.from([0, ...sized(custom)])]));
