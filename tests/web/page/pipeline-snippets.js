// The usual examples of transformers.js for the six tasks, written anew: its calls, with the import changed and small models.
import { pipeline } from "ocelli/pipeline";

export const snippets = {
  "zero-shot-image-classification": async (url, options) => {
    const classifier = await pipeline("zero-shot-image-classification", "/fixtures/clip/", options);
    return classifier(url, ["tiger", "horse", "dog"]);
  },
  "zero-shot-object-detection": async (url, options) => {
    const detector = await pipeline("zero-shot-object-detection", "/fixtures/owlv2/", options);
    const candidate_labels = ["human face", "rocket", "helmet", "american flag"];
    return detector(url, candidate_labels, { top_k: 4, threshold: 0.05 });
  },
  "image-feature-extraction": async (url, options) => {
    const extractor = await pipeline("image-feature-extraction", "/fixtures/clip/", options);
    return extractor(url);
  },
  "image-segmentation": async (url, options) => {
    const segmenter = await pipeline("image-segmentation", "/fixtures/clipseg-refined/", options);
    return segmenter(url, ["cat", "remote"]); // the words are what differs
  },
  "image-to-text": async (url, options) => {
    const captioner = await pipeline("image-to-text", "/fixtures/decoders/paligemma/", options);
    return captioner(url, { max_new_tokens: 8 });
  },
  "image-text-to-text": async (url, options) => {
    const generator = await pipeline("image-text-to-text", "/fixtures/decoders/smolvlm/", options);
    const content = [
      { type: "image_url", image_url: { url } },
      { type: "text", text: "Describe this image." },
    ];
    return generator([{ role: "user", content }], { max_new_tokens: 8, do_sample: false });
  },
};
