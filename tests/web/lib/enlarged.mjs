// A model of a fixture's shape, but wider: random weights, written here.
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes `from`, a folder of SigLIP, into `to` with so many times the width. Returns the bytes of its picture tower. */
export function enlarged(from, to, times) {
  for (const name of readdirSync(from).filter((name) => /\.(json|model)$/.test(name) && name !== "golden.json"))
    copyFileSync(join(from, name), join(to, name));
  const config = JSON.parse(readFileSync(join(from, "config.json"), "utf8"));
  const widths = new Set();
  for (const tower of [config.text_config, config.vision_config]) {
    tower.num_attention_heads *= times;
    for (const key of ["hidden_size", "intermediate_size", "projection_size"])
      if (tower[key]) {
        widths.add(tower[key]);
        tower[key] *= times;
      }
  }
  writeFileSync(join(to, "config.json"), JSON.stringify(config));
  const file = readFileSync(join(from, "model.safetensors"));
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))));
  const hidden = config.vision_config.hidden_size / times;
  const wide = (size) => (widths.has(size) || size === 3 * hidden ? size * times : size);
  let [length, vision] = [0, 0];
  for (const [name, tensor] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    tensor.shape = tensor.shape.map(wide);
    const bytes = 4 * tensor.shape.reduce((product, size) => product * size, 1);
    tensor.data_offsets = [length, (length += bytes)];
    if (name.startsWith("vision_model.")) vision += bytes;
  }
  const numbers = new Float32Array(length / 4);
  let state = 1;
  for (let i = 0; i < numbers.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    numbers[i] = (state / 2 ** 32 - 0.5) / 16;
  }
  const text = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(to, "model.safetensors"), Buffer.concat([head, text, Buffer.from(numbers.buffer)]));
  return vision;
}
