import { Ocelli, type Classification, type LabelSet, type LoadOptions } from "ocelli";
import { labelList, template, threadsInWords, versions, type Engine, type Wish } from "./engine.ts";

export async function load({ engine, model: folder, precision }: Wish, files: Blob[]): Promise<Engine> {
  const tier = engine.split(":")[1];
  const backend = engine === "ocelli-cpu" ? "cpu" : "webgpu";
  // A folder that is q8 already lies inside the one that the others read; without it Ocelli quantises while it loads.
  const ready =
    precision === "q8" && (await fetch(`${folder}q8/config.json`, { method: "HEAD" }).catch(() => undefined))?.ok;
  const options = {
    backend,
    format: precision === "q8" && !ready ? "q8" : "none",
    ...(tier && { tier }),
  } as LoadOptions;
  const model = await Ocelli.load(ready ? `${folder}q8/` : folder, options);
  const { info } = model;
  const first = files[0] as Blob;
  let names: string[] = [];
  let asked = 0;
  let set: LabelSet | undefined;
  return {
    facts: [
      `Ocelli ${versions.ocelli}`,
      backend === "cpu" ? `CPU, ${threadsInWords(info.threads)}` : `kernel tier ${info.tier}`,
      `weights ${info.format}${precision === "q8" && !ready && info.format === "q8" ? ", quantised while loading" : ""}`,
    ].join(", "),
    tiers: info.tiers.filter((tier) => tier !== info.tier),
    async pictures(count) {
      const some = files.slice(0, count);
      return joined(count > 1 ? await model.embedImages(some) : [await model.embedImage(some[0] as Blob)]);
    },
    async answer() {
      names = labelList(2 * ++asked).slice(-2);
      return scoresOf(await model.classify(first, names, { template }));
    },
    async learn(count, different) {
      names = labelList(count, different);
      set = await model.labels(names, { template });
    },
    classify: async () => scoresOf((await set?.classify(first)) ?? []),
    square: async () => (await model.preprocess(first)).data,
  };
}

function scoresOf(answer: Classification[]): number[] {
  return [...answer].sort((a, b) => a.index - b.index).map(({ score }) => score);
}

function joined(parts: Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}
