import { Detector } from "ocelli/detect";

const source = new URLSearchParams(location.search).get("model") ?? "hf:google/owlv2-base-patch16-ensemble";
const [file, labels, threshold, status, save, canvas] = [
  "[type=file]",
  "[type=text]",
  "[type=range]",
  "[role=status]",
  "button",
  "canvas",
].map((name) => document.querySelector(name));
const context = canvas.getContext("2d", { willReadFrequently: true });

let model;
const loaded = () =>
  (model ??= Detector.load(source, {
    format: "q8",
    worker: "prefer",
    onProgress: ({ fraction = 0 }) => (status.textContent = `Loading the model: ${Math.round(100 * fraction)}%`),
  }).catch((error) => {
    model = undefined; // so that the next try loads again
    throw error;
  }));

/** The photo, and the model's look at it: further questions cost milliseconds. */
let photo, scene;

file.addEventListener("change", async () => {
  if (!file.files[0]) return;
  try {
    photo = await createImageBitmap(file.files[0]);
    Object.assign(canvas, { width: photo.width, height: photo.height, hidden: false });
    context.drawImage(photo, 0, 0);
    const detector = await loaded();
    status.textContent = "Looking …";
    scene = await detector.look(file.files[0]);
    await redact();
  } catch (error) {
    status.textContent = error.message;
  }
});

async function redact() {
  if (!scene) return;
  const names = labels.value
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  const found = await scene.detect(names, { threshold: Number(threshold.value) });
  context.drawImage(photo, 0, 0);
  for (const { box } of found) pixelate(box);
  status.textContent = found.length === 1 ? "1 place hidden." : `${found.length} places hidden.`;
  save.disabled = false;
}

/** Some eight coarse pixels across, cut from whole ones: the details are gone from the file, not just covered. */
function pixelate({ x, y, width, height }) {
  const [left, top, right, bottom] = [Math.floor(x), Math.floor(y), Math.ceil(x + width), Math.ceil(y + height)];
  const side = Math.ceil(Math.max(width, height, 8) / 8);
  for (let row = top; row < bottom; row += side)
    for (let column = left; column < right; column += side) {
      const { data } = context.getImageData(column, row, 1, 1);
      context.fillStyle = `rgb(${data[0]} ${data[1]} ${data[2]})`;
      context.fillRect(column, row, Math.min(side, right - column), Math.min(side, bottom - row));
    }
}

for (const control of [labels, threshold])
  control.addEventListener("input", () => redact().catch((error) => (status.textContent = error.message)));

save.addEventListener("click", () => {
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), {
      href: URL.createObjectURL(blob),
      download: "redacted.png",
    });
    link.click();
  });
});
