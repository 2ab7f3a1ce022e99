// Boxes and masks that a model writes: as natively, on the GPU, on the CPU and in a worker; without masks' decoder; and what is refused.
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { picture } from "../lib/finders.mjs";

const LABELS = ["cat", "dog"];
const PICTURE = "rgb-61x37.png";

export async function vlmLocate(test) {
  const { browser, report, site, fixtures, native, server } = test;
  let { page } = test;
  const group = report.group("vlm: boxes and masks");
  const same = (name, actual, expected) => group.same(name, JSON.stringify(actual), JSON.stringify(expected));
  if (!native.exists) return report.skip("vlm: boxes and masks", native.missing);
  const folders = ["written", "written-without"].map((name) => site.path(name));
  for (const folder of folders) cpSync(fixtures.model("decoders/paligemma-written"), folder, { recursive: true });
  writeFileSync(`${folders[0]}/masks.safetensors`, maskDecoder());
  const given = ["--labels", LABELS.join(), fixtures.image(PICTURE)];
  const [boxes] = native.run("detect", "--model", folders[0], ...given);
  const [masks] = native.run("segment", "--model", folders[0], ...given);
  const boxesOf = (found = []) =>
    found.map(({ label, index, box }) => [label, index, box.x, box.y, box.width, box.height]);
  const runsOf = (found) => found.map(({ rle, runs }) => (rle ?? runs)?.counts ?? null);
  const [first] = runsOf(masks.masks);
  group.holds("a mask of many runs", first.length > 40, first.length);
  const load = (folder, options) => page.evaluate((a) => web.loadVlm("m", ...a), [site.url(folder) + "/", options]);
  const ask = (call, labels, options) =>
    page.evaluate((a) => web.located("m", ...a), [call, picture(PICTURE), labels, options]);
  const places = { CPU: { backend: "cpu" }, worker: { backend: "cpu", worker: true } };
  if (!server.search.includes("cpu")) places.GPU = { backend: "webgpu" };
  for (const [where, options] of Object.entries(places)) {
    await load("written", options);
    const { value: detected, message } = await ask("detect", LABELS);
    if (message) throw new Error(message);
    same(`${where}: boxes`, boxesOf(detected), boxesOf(boxes.detections));
    const segmented = (await ask("segment", LABELS)).value;
    same(
      `${where}: masks`,
      segmented.map(({ label, index }) => [label, index]),
      masks.masks.map(({ label, index }) => [label, index]),
    );
    same(`${where}: bits`, runsOf(segmented), runsOf(masks.masks));
    group.rejects(
      `${where}: a box for a mask`,
      ...[runsOf(segmented).toReversed(), runsOf(masks.masks)].map((runs) => JSON.stringify(runs)),
    );
    same(`${where}: one of them`, boxesOf((await ask("detect", ["cow", "dog"])).value), [
      ["dog", 1, ...boxesOf(boxes.detections)[1].slice(2)],
    ]);
    same(`${where}: one label is what was found`, (await ask("detect", "thing")).value.length, 2);
    same(`${where}: cut off`, (await ask("detect", LABELS, { maxTokens: 24 })).value.length, 1);
  }
  // On a page of its own: the browser writes that the file is not there.
  page = await browser.newPage();
  await page.goto(server.page);
  await load("written-without", { backend: "cpu" });
  const without = (await ask("segment", "cat")).value;
  same("without a decoder: masks", runsOf(without), [null, null]);
  same(
    "without a decoder: boxes",
    boxesOf(without).map((one) => one.slice(2)),
    boxesOf(boxes.detections).map((one) => one.slice(2)),
  );
  for (const [labels, word] of [
    [[], "none"],
    [7, "number"],
    [["cat; dog"], "without ;"],
    [[" "], "without ;"],
  ]) {
    const { code, message } = await ask("detect", labels);
    same(`${JSON.stringify(labels)}`, [code, message.includes(word)], ["bad-input", true]);
  }
  writeFileSync(`${folders[1]}/masks.safetensors`, "<!doctype html>");
  await load("written-without", { backend: "cpu" });
  same("a decoder that is none", (await ask("segment", "cat")).code, "bad-checkpoint");
  same("the call after it", (await ask("detect", LABELS)).value.length, 2);
  await page.evaluate(() => web.loadVlm("m", "/fixtures/decoders/smolvlm/", { backend: "cpu" }));
  const { code, message } = await ask("detect", LABELS);
  same("a model that writes no places", [code, message.includes("paligemma")], ["wrong-model", true]);
  group.rejects("as it would be", code, "bad-input");
  await page.close();
  folders.forEach((folder) => rmSync(folder, { recursive: true }));
}

/** The file of a decoder with random weights, by the names and shapes of big_vision's. */
function maskDecoder() {
  const layers = [
    ["decoder.0", [128, 512, 1, 1]],
    ...[2, 3].flatMap((at) =>
      [0, 2, 4].map((n) => [`decoder.${at}.net.${n}`, [128, 128, ...(n < 4 ? [3, 3] : [1, 1])]]),
    ),
    ["decoder.4", [128, 128, 4, 4], 128],
    ["decoder.6", [128, 64, 4, 4], 64],
    ["decoder.8", [64, 32, 4, 4], 32],
    ["decoder.10", [32, 16, 4, 4], 16],
    ["decoder.12", [1, 16, 1, 1]],
  ];
  const tensors = [
    ["_vq_vae._embedding", [128, 512]],
    ...layers.flatMap(([name, shape, outputs = shape[0]]) => [
      [`${name}.weight`, shape],
      [`${name}.bias`, [outputs]],
    ]),
  ];
  let [state, at] = [13, 0];
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1;
  const header = {};
  const parts = tensors.map(([name, shape]) => {
    const count = shape.reduce((a, b) => a * b);
    const scale = shape.length === 1 ? 0.1 : 2.5 / Math.sqrt(count / shape[0]);
    const numbers = Float32Array.from({ length: count }, () => next() * scale);
    header[name] = { dtype: "F32", shape, data_offsets: [at, (at += numbers.byteLength)] };
    return Buffer.from(numbers.buffer);
  });
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}
