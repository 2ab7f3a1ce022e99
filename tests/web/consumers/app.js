// The app of every consumer: it classifies a picture, embeds it and its labels, and searches among them.
import { Ocelli } from "ocelli";
import { ImageIndex } from "ocelli/index";

/** Lets the test ask; `options` are what the bundler makes necessary. */
export function app(options = {}) {
  // One tower alone: the embedding of the picture, or of the first label.
  globalThis.askTower = async (folder, picture, labels, how) => {
    const model = await Ocelli.load(folder, { ...options, ...how });
    try {
      if (how.towers === "text") return [...(await model.embedText(labels[0]))];
      return [...(await model.embedImage(await (await fetch(picture)).blob()))];
    } finally {
      model.dispose();
    }
  };
  globalThis.ask = async (folder, picture, labels, how) => {
    const model = await Ocelli.load(folder, { ...options, ...how });
    try {
      const file = await (await fetch(picture)).blob();
      const ranked = await model.classify(file, labels, { score: "logits" });
      const image = await model.embedImage(file);
      const text = await model.embedText(labels[0]);
      const index = await ImageIndex.create({ model, format: "f32" });
      await index.add(labels, await model.embedTexts(labels));
      const [hit] = await index.search(file, { k: 1 });
      index.dispose();
      const scores = labels.map((_, i) => ranked.find(({ index }) => index === i).score);
      return { scores, image: [...image], text: [...text], hit, threads: model.info.threads };
    } finally {
      model.dispose();
    }
  };
}
