import { Ocelli } from "ocelli";

/** 166 MB for the first image, then kept in the browser. */
const source =
  new URLSearchParams(location.search).get("model") ?? "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m";
const [labels, status, list, image] = ["textarea", "[role=status]", "ol", "img"].map((name) =>
  document.querySelector(name),
);

/** Loaded with the first image. */
let model;
const loaded = () =>
  (model ??= Ocelli.load(source, {
    format: "q8",
    worker: true,
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)}%`),
  }).catch((error) => {
    model = undefined; // so that the next try loads again
    throw error;
  }));

/** What the service worker was told, now and whenever it is told more. */
async function show() {
  const { image: address } = await chrome.storage.session.get("image");
  if (!address) return;
  Object.assign(image, { src: address, hidden: false });
  try {
    const file = await (await fetch(address)).blob();
    const names = labels.value.split("\n").filter((name) => name.trim() !== "");
    const ranked = await (await loaded()).classify(file, names, { template: "a photo of {}.", score: "softmax" });
    list.replaceChildren(...ranked.map(row));
    status.textContent = "Best match first.";
  } catch (error) {
    status.textContent = error.message;
  }
}

function row({ label, score }) {
  const item = document.createElement("li");
  item.style.setProperty("--score", score);
  item.append(label, document.createElement("span"));
  item.lastChild.textContent = `${(100 * score).toFixed(1)}%`;
  return item;
}

chrome.storage.session.onChanged.addListener(show);
labels.addEventListener("change", show);
void show();
