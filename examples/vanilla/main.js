import { Ocelli } from "ocelli";

/** 166 MB on the first visit, then kept in the browser. */
const source =
  new URLSearchParams(location.search).get("model") ?? "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m";
const [file, labels, status, list, image] = ["input", "textarea", "[role=status]", "ol", "img"].map((name) =>
  document.querySelector(name),
);

/** Loaded with the first photo. */
let model;
const loaded = () =>
  (model ??= Ocelli.load(source, {
    format: "q8",
    worker: "prefer",
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)}%`),
  }).catch((error) => {
    model = undefined; // so that the next try loads again
    throw error;
  }));

async function show() {
  const photo = file.files[0];
  if (!photo) return;
  URL.revokeObjectURL(image.src);
  Object.assign(image, { src: URL.createObjectURL(photo), hidden: false });
  try {
    const names = labels.value.split("\n").filter((name) => name.trim() !== "");
    const ranked = await (await loaded()).classify(photo, names, { template: "a photo of {}.", score: "softmax" });
    list.replaceChildren(...ranked.map(row));
    status.textContent = "Best match first.";
  } catch (error) {
    status.textContent = error.message; // a sentence that says what to do
  }
}

function row({ label, score }) {
  const item = document.createElement("li");
  item.style.setProperty("--score", score);
  item.append(label, document.createElement("span"));
  item.lastChild.textContent = `${(100 * score).toFixed(1)}%`;
  return item;
}

file.addEventListener("change", show);
labels.addEventListener("change", show);
