import { Ocelli } from "ocelli";
import { ImageIndex } from "ocelli/index";

/** 166 MB on the first visit, then kept in the browser. */
const source =
  new URLSearchParams(location.search).get("model") ?? "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m";
const [files, words, status, found] = ["[type=file]", "[type=search]", "[role=status]", "#found"].map((name) =>
  document.querySelector(name),
);
/** The photos by their names. Only the vectors are kept for the next visit; the photos are asked for again. */
const photos = new Map();

let index;
async function ready() {
  const model = await Ocelli.load(source, {
    format: "q8",
    worker: "prefer",
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)}%`),
  });
  // What an earlier visit has embedded is there already.
  return ImageIndex.load("photos", { model }).catch(() => ImageIndex.create({ model }));
}

files.addEventListener("change", async () => {
  try {
    for (const file of files.files) photos.set(file.name, file);
    const all = await (index ??= ready());
    const fresh = [...photos.values()].filter(({ name }) => !all.has(name));
    await all.add(
      fresh.map(({ name }) => name),
      fresh,
      { onProgress: (done) => (status.textContent = `${done} of ${fresh.length} photos read`) },
    );
    await all.save("photos");
    status.textContent = `${photos.size} photos. What are you looking for?`;
    words.disabled = false;
    words.focus();
  } catch (error) {
    status.textContent = error.message;
  }
});

words.addEventListener("input", async () => {
  try {
    const hits = words.value.trim() ? await (await index).search(words.value, { k: 12 }) : [];
    found.replaceChildren(
      ...hits
        .filter(({ id }) => photos.has(id))
        .map(({ id }) => Object.assign(new Image(), { src: URL.createObjectURL(photos.get(id)), alt: id })),
    );
  } catch (error) {
    status.textContent = error.message;
  }
});
