import type { ImageInput } from "ocelli";
import { byId, make } from "./dom.ts";

export type Picked = (image: ImageInput) => void;

const samples = ["guitar", "rocket", "pizza", "bicycle", "castle", "octopus", "dog", "cactus"] as const;
/** A drawing that the built-in model takes for another thing: what it cannot do belongs on the page as well. */
const missed = "cat";

const stage = byId("stage", "div");
const group = byId("samples", "div");
const file = byId("file", "input");
const missedNote = byId("missed", "p");
const trouble = byId("picture-trouble", "p");

/** Drop, pick, paste and samples: all end in `picked`, and only the newest one counts. Returns a way to show the first sample. */
export function pictureArea(picked: Picked): () => void {
  const take = (source: Promise<Blob>, name: string, sample?: string) => void show(source, name, sample, picked);
  const takeFile = (found: File) => take(Promise.resolve(found), `Your picture, ${found.name || "pasted"}`);

  missedNote.textContent = `This is a ${missed}, and the built-in model gets it wrong.`;
  for (const name of [...samples, missed]) {
    const button = make("button", { type: "button", "aria-pressed": "false", "data-sample": name, title: name },
      make("img", { src: `./samples/${name}.png`, alt: name, width: "60", height: "54" }));
    if (name === missed) button.dataset["missed"] = "";
    button.addEventListener("click", () => takeSample(name));
    group.append(button);
  }
  const takeSample = (name: string) => take(fetchBlob(`./samples/${name}.png`), `Sample drawing: ${name}`, name);

  file.addEventListener("change", () => {
    const found = file.files?.[0];
    if (found) takeFile(found);
    file.value = ""; // so that the same file can be picked again
  });
  document.addEventListener("paste", (event) => {
    const found = imageIn(event.clipboardData);
    if (!found) return; // text goes where the cursor is
    event.preventDefault();
    takeFile(found);
  });
  acceptDrops(takeFile);
  return () => takeSample(samples[0]);
}

let newest = 0;

async function show(source: Promise<Blob>, name: string, sample: string | undefined, picked: Picked): Promise<void> {
  const turn = ++newest;
  let address = "";
  try {
    const blob = await source;
    address = URL.createObjectURL(blob);
    const image = make("img", { id: "picture", src: address, alt: name });
    await image.decode();
    if (turn !== newest) return URL.revokeObjectURL(address);
    const before = byId("picture", "img");
    before.replaceWith(image);
    URL.revokeObjectURL(before.src);
    trouble.textContent = "";
    missedNote.hidden = sample !== missed;
    for (const button of group.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["sample"] === sample));
    }
    // The file itself is best, since its pixels reach the model untouched. Only the browser can draw an SVG.
    picked(blob.type === "image/svg+xml" ? image : blob);
  } catch {
    URL.revokeObjectURL(address);
    if (turn === newest) trouble.textContent = `${name}: the browser cannot read this as a picture. The old one stays.`;
  }
}

async function fetchBlob(address: string): Promise<Blob> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.blob();
}

/** The whole page accepts a drop: a picture that misses a small target would otherwise replace the page. */
function acceptDrops(takeFile: (file: File) => void): void {
  let leaving = 0;
  const mark = (on: boolean) => stage.classList.toggle("over", on);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return; // text may be dropped into the fields
    event.preventDefault();
    clearTimeout(leaving);
    mark(true);
  });
  document.addEventListener("dragleave", () => {
    // It fires on every element that is crossed: only a silence means that the picture has left.
    clearTimeout(leaving);
    leaving = window.setTimeout(() => mark(false), 80);
  });
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const found = imageIn(event.dataTransfer);
    if (found) takeFile(found);
    else trouble.textContent = "What was dropped is not a picture file.";
  });
}

function imageIn(data: DataTransfer | null): File | undefined {
  return [...(data?.files ?? [])].find((found) => found.type.startsWith("image/"));
}
