import { Vlm } from "ocelli/vlm";

/** 513 MB on the first visit, then kept in the browser. */
const source = new URLSearchParams(location.search).get("model") ?? "hf:HuggingFaceTB/SmolVLM-256M-Instruct";
const [file, text, copy, stop, status, image] = ["input", "textarea", "#copy", "#stop", "[role=status]", "img"].map(
  (name) => document.querySelector(name),
);

let model;
const loaded = () =>
  (model ??= Vlm.load(source, {
    format: "q8",
    worker: "prefer",
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)}%`),
  }).catch((error) => {
    model = undefined; // so that the next try loads again
    throw error;
  }));

/** Ends the text that is being written. */
let writing = new AbortController();

file.addEventListener("change", async () => {
  const photo = file.files[0];
  if (!photo) return;
  writing.abort();
  writing = new AbortController();
  const { signal } = writing;
  URL.revokeObjectURL(image.src);
  Object.assign(image, { src: URL.createObjectURL(photo), hidden: false });
  text.value = "";
  try {
    const writer = await loaded();
    status.textContent = "Looking …";
    stop.disabled = false;
    const prompt = "Describe this image in one sentence.";
    for await (const part of writer.stream({ image: photo, prompt }, { maxTokens: 60, signal })) text.value += part;
    status.textContent = "Done. Check it before you use it: the model is small.";
  } catch (error) {
    status.textContent = error.code === "aborted" ? "Stopped." : error.message;
  }
  stop.disabled = true;
});

stop.addEventListener("click", () => writing.abort());
copy.addEventListener("click", () => navigator.clipboard.writeText(text.value.trim()));
