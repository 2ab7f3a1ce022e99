import { Ocelli, type Classification, type ImageInput, type LoadOptions, type ModelInfo } from "ocelli";
import { labelList, template, versions, type Engine, type Wish } from "./engine.ts";

// What newer packages have beside the rest; older ones are measured without.
interface Newer {
  embedImages?(images: ImageInput[]): Promise<Float32Array[]>;
  labels?(names: string[], options: { template: string }): Promise<{ classify(image: ImageInput): Promise<Classification[]> }>;
}
type NewerInfo = ModelInfo & { tier?: string; tiers?: (string | { name: string })[] };

export async function load({ engine, model: folder, precision }: Wish, files: Blob[]): Promise<Engine> {
  const tier = engine.split(":")[1];
  // A folder that is q8 already lies inside the one that the others read; without it Ocelli quantises while it loads.
  const ready = precision === "q8" && (await fetch(`${folder}q8/config.json`, { method: "HEAD" }).catch(() => undefined))?.ok;
  const options = { format: precision === "q8" && !ready ? "q8" : "none", ...(tier && { tier }) } as LoadOptions;
  const model = (await Ocelli.load(ready ? `${folder}q8/` : folder, options)) as Ocelli & Newer;
  const info = model.info as NewerInfo;
  const first = files[0] as Blob;
  let names: string[] = [];
  let ask = async (): Promise<Classification[]> => [];
  return {
    facts: [
      `Ocelli ${versions.ocelli}`,
      info.tier && `kernel tier ${info.tier}`,
      `weights ${info.format}${precision === "q8" && !ready && info.format === "q8" ? ", quantised while loading" : ""}`,
    ].filter(Boolean).join(", "),
    tiers: (info.tiers ?? []).map((tier) => (typeof tier === "string" ? tier : tier.name)).filter((tier) => tier !== info.tier),
    async pictures(count) {
      const some = files.slice(0, count);
      if (count > 1 && model.embedImages) return joined(await model.embedImages(some));
      const each: Float32Array[] = [];
      for (const file of some) each.push(await model.embedImage(file));
      return joined(each);
    },
    async answer() {
      names = labelList(2);
      return scoresOf(await model.classify(first, names, { template }));
    },
    async learn(count, different) {
      names = labelList(count, different);
      if (model.labels) {
        const set = await model.labels(names, { template });
        ask = () => set.classify(first);
      } else {
        ask = () => model.classify(first, names, { template });
        await ask(); // keeps the embeddings of its texts
      }
    },
    classify: async () => scoresOf(await ask()),
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
