import { Ocelli, type Classification, type LabelSet, type LoadOptions, type ModelInfo } from "ocelli";
import { Detector } from "ocelli/detect";
import { Vlm } from "ocelli/vlm";
import { bestOf } from "./boxes.ts";
import {
  Clock,
  fewWords,
  fourLabels,
  labelList,
  template,
  threadsInWords,
  versions,
  type Classifier,
  type Finder,
  type Script,
  type Wish,
  type Writer,
} from "./engine.ts";
import { pictureNumber } from "./pictures.ts";

/** Where the files are, and how they are loaded. */
async function prepared({ engine, model: folder, precision, keep }: Wish) {
  const tier = engine.split(":")[1];
  const backend = engine.startsWith("ocelli-cpu") ? "cpu" : "webgpu";
  // A folder that is quantised already lies inside the one that the others read; without it Ocelli quantises while it loads.
  const inner = `${folder}${precision}/`;
  const small = precision !== "f32";
  const ready = small && (await fetch(`${inner}config.json`, { method: "HEAD" }).catch(() => undefined))?.ok;
  const options = {
    backend,
    format: small && !ready ? precision : "none",
    cache: keep,
    threads: engine === "ocelli-cpu-1" ? 1 : "auto",
    ...(tier && { tier }),
  } as LoadOptions;
  const facts = (info: ModelInfo) => ({
    facts: [
      `Ocelli ${versions.ocelli}`,
      backend === "cpu" ? `CPU, ${threadsInWords(info.threads)}` : `kernel tier ${info.tier}`,
      `weights ${info.format}${small && !ready && info.format === precision ? ", quantised while loading" : ""}`,
    ].join(", "),
    tiers: info.tiers.filter((tier) => tier !== info.tier),
  });
  return { from: ready ? inner : folder, options, facts };
}

export async function load(wish: Wish, files: Blob[]): Promise<Classifier> {
  const { from, options, facts } = await prepared(wish);
  const model = await Ocelli.load(from, options);
  const { info } = model;
  const first = files[0] as Blob;
  let names: string[] = [];
  let asked = 0;
  let set: LabelSet | undefined;
  let four: LabelSet | undefined;
  return {
    ...facts(info),
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
    async zeroShot() {
      // Texts are embedded anew each time; a set of labels would remember them.
      const texts = await model.embedTexts(fourLabels.map((label) => template.replace("{}", label)));
      const image = await model.embedImage(first);
      const logits = texts.map((text) => info.logitScale * dot(text, image) + info.logitBias);
      if (info.defaultScore === "sigmoid") return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
      const all = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
      return all.map((one) => one / all.reduce((sum, x) => sum + x));
    },
    zeroShotKept: async () => scoresOf(await (four ??= await model.labels(fourLabels, { template })).classify(first)),
    square: async () => (await model.preprocess(first)).data,
  };
}

export async function loadFinder(wish: Wish, picture: Blob): Promise<Finder> {
  const { from, options, facts } = await prepared(wish);
  const detector = await Detector.load(from, options);
  // All that there is, as transformers.js gives it with this threshold.
  const all = { threshold: 0, multiLabel: true, normalized: true, clip: false, cache: false };
  const find = async (labels: string[]) =>
    bestOf(
      labels,
      (await detector.detect(picture, labels, all)).map(({ label, score, box: { x, y, width, height } }) => ({
        label,
        score,
        box: [x, y, x + width, y + height],
      })),
    );
  return {
    ...facts(detector.info),
    keeps: true,
    find,
    answer: async () => (await find(labelList(2))).map(({ score }) => score),
  };
}

export async function loadWriter(wish: Wish, script: Script): Promise<Writer> {
  const { from, options, facts } = await prepared(wish);
  const model = await Vlm.load(from, options);
  let answers = 0;
  const write: Writer["write"] = async ({ text, picture }, tokens) => {
    const image = picture === undefined ? undefined : await pictureNumber(wish.model, picture);
    const clock = new Clock();
    const onToken = () => clock.tick();
    const asked = { raw: text, ...(image && { image }) };
    // The picture as one tile, on every backend.
    const written = await model.generate(asked, { maxTokens: tokens, detail: "low", beams: 1, onToken });
    return clock.written([...written.tokens]);
  };
  return {
    ...facts(model.info),
    sees: true,
    write,
    answer: async () => (await write(fewWords(script, answers++), 1)).tokens,
  };
}

function scoresOf(answer: Classification[]): number[] {
  return [...answer].sort((a, b) => a.index - b.index).map(({ score }) => score);
}

/** Cosine of two embeddings, which have unit length. */
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

function joined(parts: Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}
