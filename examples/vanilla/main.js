import { Ocelli } from "ocelli";

const source = new URLSearchParams(location.search).get("model") ?? "hf:google/siglip-base-patch16-224";
const [file, labels, status, list, image] = ["input", "textarea", "[role=status]", "ol", "img"].map((name) =>
  document.querySelector(name),
);

/** Loaded with the first photo. */
let model;
const loaded = () =>
  (model ??= Ocelli.load(source, {
    format: "q8",
    worker: "prefer",
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)} %`),
  }));

async function show() {
  const photo = file.files[0];
  if (!photo) return;
  Object.assign(image, { src: URL.createObjectURL(photo), hidden: false });
  try {
    const names = labels.value.split("\n").filter((name) => name.trim() !== "");
    const ranked = await (await loaded()).classify(photo, names, { template: "a photo of {}.", score: "softmax" });
    list.replaceChildren(
      ...ranked.map(({ label, score }) => {
        const item = document.createElement("li");
        item.append(label, document.createElement("span"));
        item.lastChild.textContent = `${(100 * score).toFixed(1)} %`;
        return item;
      }),
    );
    status.textContent = "Done.";
  } catch (error) {
    status.textContent = error.message; // a sentence that says what to do
  }
}

file.addEventListener("change", show);
labels.addEventListener("change", show);
