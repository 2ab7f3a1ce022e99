import { Vlm } from "ocelli/vlm";

const source = new URLSearchParams(location.search).get("model") ?? "hf:HuggingFaceTB/SmolVLM-256M-Instruct";
const [file, text, copy, stop, status, image] = ["input", "textarea", "#copy", "#stop", "[role=status]", "img"].map(
  (name) => document.querySelector(name),
);

let model;
const loaded = () =>
  (model ??= Vlm.load(source, {
    format: "q8",
    worker: "prefer",
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)} %`),
  }));

/** Ends the text that is being written. */
let writing = new AbortController();

file.addEventListener("change", async () => {
  const picture = file.files[0];
  if (!picture) return;
  writing.abort();
  writing = new AbortController();
  const { signal } = writing;
  Object.assign(image, { src: URL.createObjectURL(picture), hidden: false });
  text.value = "";
  try {
    const writer = await loaded();
    status.textContent = "Looking …";
    stop.disabled = false;
    const prompt = "Describe this image in one sentence.";
    for await (const part of writer.stream({ image: picture, prompt }, { maxTokens: 60, signal })) text.value += part;
    status.textContent = "Done. Read it before you use it: the model is small.";
  } catch (error) {
    status.textContent = error.code === "aborted" ? "Stopped." : error.message;
  }
  stop.disabled = true;
});

stop.addEventListener("click", () => writing.abort());
copy.addEventListener("click", () => navigator.clipboard.writeText(text.value.trim()));
