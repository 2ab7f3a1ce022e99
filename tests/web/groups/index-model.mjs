// An index with a model: words and pictures in place of vectors, and what int8 costs on embeddings as they are.
import { existsSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { largest } from "../lib/report.mjs";
import { nearest, rounded } from "../lib/vectors.mjs";
import { get, make } from "./index.mjs";

/** Of the ten nearest in f32, the share that int8 finds too; the mean over all. Measured: 0.998. */
const RECALL = 0.95;
/**
 * How far int8 moves a cosine at most. Each number is off by half of 1/127 of the largest, at random and in all directions: with a largest
 * of 4 / √dim, that is a direction off by 4 / 254 / √3 = 0.009; of that a cosine sees what lies along the query, a few of 0.009 / √dim.
 */
const MOVES = 0.004;

export async function model({ ask, report, site, root }) {
  const share = (name, folder) =>
    existsSync(folder) && !existsSync(site.path(name)) && symlinkSync(folder, site.path(name));
  share("models", join(root, "www", "models"));
  share("samples", join(root, "www", "samples"));
  share("photos", join(process.env.OCELLI_DATA ?? join(root, "..", "shared", "data"), "photos"));
  const urls = ["samples", "photos"].flatMap((folder) => {
    const names = existsSync(site.path(folder)) ? readdirSync(site.path(folder)) : [];
    return names
      .filter((name) => /\.(png|jpg)$/.test(name))
      .sort()
      .map((name) => site.url(`${folder}/${name}`));
  });
  const { embeddingDim } = await ask("model", site.url("models/ocelli-tiny/"));
  await words({ ask, report, embeddingDim, urls: urls.filter((url) => url.includes("samples")) });
  await recall({ ask, report, urls });
  await ask("disposeModel");
}

async function words({ ask, report, embeddingDim, urls }) {
  const group = report.group("an index with a model");
  const ids = urls.map((url) => url.split("/").at(-1));
  const expect = async (name, code, ...args) => {
    const outcome = await ask(...args);
    group.same(name, outcome.code ?? "no error", code);
    return outcome.message;
  };
  await expect("made", "no error", "createWithModel", "m", {});
  await expect("pictures", "no error", "addPictures", "m", ids, urls);
  const embeddings = (await ask("embedded", urls)).map(rounded);
  const found = async (name, words) => (await get(ask, name, "search", words)).map(({ id }) => id);
  const right = async (words) => nearest(embeddings, await ask("embedText", words)).map(({ row }) => ids[row]);
  for (const words of ["a picture of a cat", "a rocket", "something to eat"]) {
    group.same(words, await found("m", words), await right(words));
    group.rejects(`${words}, not a guitar`, await found("m", words), await right("a guitar"));
  }
  group.same("the best for a rocket", (await found("m", "a rocket"))[0], "rocket.png");
  const own = (await ask("searchPicture", "m", urls[4])).value;
  group.same("by a picture that is in it", own[0].id, ids[4]);
  group.rejects("another one", own[0].id, ids[3]);
  await expect("kept", "no error", "call", "m", "save", "m");
  await expect("loaded for another model", "wrong-model", "loadWithModel", "x", "m", { modelHash: "huge" });
  await expect("loaded", "no error", "loadWithModel", "n", "m", {});
  group.same("and asked", await found("n", "a rocket"), await right("a rocket"));
  const message = await expect("another dim", "wrong-model", "createWithModel", "x", { dim: 7 });
  group.holds("names both", message?.includes("7") && message.includes(String(embeddingDim)), message);
  await ask("delete", "m");
}

/** Pictures and their quarters: some nearer to each other than photographs of a collection are. */
async function recall({ ask, report, urls }) {
  const embeddings = await ask("embedded", urls, true);
  const found = {};
  for (const format of ["f32", "int8"]) {
    await make(ask, format, embeddings, { format });
    found[format] = [];
    for (const query of embeddings)
      found[format].push(await get(ask, format, "search", query, { k: embeddings.length }));
  }
  const top = (hits) => new Set(hits.slice(0, 10).map(({ id }) => id));
  const common = (a, b) => [...a].filter((id) => b.has(id)).length / a.size;
  const mean = (shares) => shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const of = (other) => mean(found.f32.map((hits, i) => common(top(hits), top(other[i]))));
  const group = report.group(`int8: recall@10 among ${embeddings.length} embeddings`, ([lost]) => lost, 1 - RECALL);
  group.same("of f32", [1 - of(found.int8)], [0]);
  group.rejects("of the next picture's", [1 - of([...found.int8.slice(1), found.int8[0]])], [0]);
  const moved = report.beside("int8: how far cosines move", largest, MOVES);
  const scores = (hits) => hits.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(({ score }) => score);
  embeddings.forEach((_, i) => moved.same(`${i}`, scores(found.int8[i]), scores(found.f32[i])));
  moved.rejects("the next picture's", scores(found.int8[0]), scores(found.f32[1]));
}
