// Pictures drawn without a browser, the same every time: OpenMoji samples at random places and sizes on random grounds.
import { readdirSync } from "node:fs";
import { join, parse } from "node:path";
import { PNG } from "pngjs";
import { readPng } from "./fixtures.mjs";

const WIDTH = 320;
const HEIGHT = 240;

/**
 * `count` different pictures from the samples in `folder`, in turn: `{ name, shows, bytes }`, where `shows` is what the sample is
 * called, `bytes` a PNG file.
 */
export function* scenes(folder, count) {
  const samples = readdirSync(folder)
    .filter((name) => name.endsWith(".png"))
    .sort()
    .map((name) => ({ shows: parse(name).name, ...readPng(join(folder, name)) }));
  for (let i = 0; i < count; i++) {
    const sample = samples[i % samples.length];
    yield {
      name: `${String(i).padStart(4, "0")}-${sample.shows}.png`,
      shows: sample.shows,
      bytes: scene(sample, i + 1),
    };
  }
}

/** One picture; another seed is another place, size and ground. */
export function scene(sample, seed) {
  const random = xorshift(seed);
  const [light, dark] = [0, 1].map(() => [0, 0, 0].map(() => 150 + random() * 100));
  const side = HEIGHT * (0.6 + 0.35 * random());
  const [left, top] = [random() * (WIDTH - side), random() * (HEIGHT - side)];
  const png = new PNG({ width: WIDTH, height: HEIGHT });
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const at = (y * WIDTH + x) * 4;
      const [u, v] = [(x - left) / side, (y - top) / side];
      const from =
        u >= 0 && u < 1 && v >= 0 && v < 1
          ? (Math.floor(v * sample.height) * sample.width + Math.floor(u * sample.width)) * 4
          : undefined;
      for (let c = 0; c < 3; c++) {
        const ground = light[c] + (dark[c] - light[c]) * (y / HEIGHT);
        // The samples' white is as glass.
        png.data[at + c] = Math.round(from === undefined ? ground : (ground * sample.data[from + c]) / 255);
      }
      png.data[at + 3] = 255;
    }
  }
  return PNG.sync.write(png, { deflateLevel: 1, filterType: 1 });
}

function xorshift(seed) {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
