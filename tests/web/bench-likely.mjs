// What the page "Photos" calls a likely match, measured: the built-in model, 99 drawings, and queries whose right answers are known.
// Prints, asserts nothing.
//   node bench-likely.mjs
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";
import { skipAll, start } from "./lib/browser.mjs";
import { drawn } from "./lib/collection.mjs";
import { serve } from "./lib/server.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const samples = join(root, "www", "samples");

/** What is asked, and which drawings are right. */
const queries = {
  "bicycle": ["bicycle"],
  "cactus": ["cactus"],
  "castle": ["castle"],
  "cat": ["cat"],
  "dog": ["dog"],
  "guitar": ["guitar"],
  "octopus": ["octopus"],
  "pizza": ["pizza"],
  "rocket": ["rocket"],
  "animal": ["cat", "dog", "octopus"],
  "food": ["pizza"],
  "vehicle": ["bicycle", "rocket"],
  "plant": ["cactus"],
  "musical instrument": ["guitar"],
  "building": ["castle"],
  "a spaceship": ["rocket"],
  "something to eat": ["pizza"],
};
/** What none of them shows. */
const absent = [
  "violin",
  "zzz nothing like it",
  "train",
  "hamburger",
  "tractor",
  "umbrella",
  "key",
  "a red car",
  "shoe",
];

const pictures = [
  ...drawn(90),
  ...readdirSync(samples)
    .filter((name) => name.endsWith(".png"))
    .map((name) => ({ shows: parse(name).name, bytes: readFileSync(join(samples, name)) })),
];

const server = await serve({
  "/dist/": join(root, "pkg", "dist"),
  "/models/": join(root, "www", "models"),
  "/": join(root, "tests", "web", "page"),
});
const browser = await start();
if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
let found;
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}loading.html`);
  found = await page.evaluate(embed, {
    files: pictures.map(({ bytes }) => Buffer.from(bytes).toString("base64")),
    words: words(),
    asked: [...Object.keys(queries), ...absent],
  });
} finally {
  await browser.close();
  server.close();
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const mean = (all) => all.reduce((sum, value) => sum + value, 0) / all.length;
const scores = found.asked.map((query) => found.pictures.map((picture) => dot(query, picture)));
const usual = found.pictures.map((picture) => {
  const all = found.words.map((word) => dot(word, picture));
  const middle = mean(all);
  return { mean: middle, deviation: Math.sqrt(mean(all.map((score) => (score - middle) ** 2))) };
});
console.log(
  `${pictures.length} drawings, ${Object.keys(queries).length} queries; ${absent.length} for what is not there`,
);
for (const least of [0.05, 0.1, 0.15, 0.2])
  measured(`score ≥ ${least}`, (q) => scores[q].map((score) => score >= least));
for (const deviations of [0, 1, 1.5, 2])
  for (const share of [0, 0.5, 0.6])
    measured(`gap ≥ ${deviations} deviations and ≥ ${share} of the widest`, (q) => {
      const gaps = scores[q].map((score, i) => score - usual[i].mean);
      const widest = Math.max(...gaps);
      return gaps.map((gap, i) => gap >= deviations * usual[i].deviation && gap >= share * widest);
    });

/** Of what a rule calls likely, how much is right; of what is right, how much is likely; and how much is likely where nothing is right. */
function measured(name, rule) {
  const [precision, recall] = [[], []];
  Object.values(queries).forEach((right, q) => {
    const is = pictures.map(({ shows }) => right.includes(shows));
    const likely = rule(q);
    const both = likely.filter((one, i) => one && is[i]).length;
    precision.push(both / Math.max(1, likely.filter(Boolean).length));
    recall.push(both / is.filter(Boolean).length);
  });
  const wrong = absent.map((_, i) => rule(Object.keys(queries).length + i).filter(Boolean).length);
  const percent = (all) => `${(100 * mean(all)).toFixed(0)}%`;
  console.log(`${name}: right ${percent(precision)}, found ${percent(recall)}, of nothing ${mean(wrong).toFixed(1)}`);
}

/** The words of the app's suggested lists, which are what it compares with. */
function words() {
  const source = readFileSync(join(root, "www", "src", "state", "label-list.ts"), "utf8");
  return [...new Set([...source.matchAll(/labels:\s*"([^"]*)"/g)].flatMap(([, labels]) => labels.split(", ")))];
}

/** On a page: embeddings of pictures, of words of all kinds, and of what is asked. */
async function embed({ files, words, asked }) {
  const { Ocelli } = await import("/dist/index.js");
  const model = await Ocelli.load("/models/ocelli-tiny/", { cache: false, backend: "cpu" });
  const blobs = files.map((text) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]));
  const plain = (vectors) => vectors.map((vector) => [...vector]);
  return {
    pictures: plain(await model.embedImages(blobs)),
    words: plain(await model.embedTexts(words)),
    asked: plain(await model.embedTexts(asked)),
  };
}
