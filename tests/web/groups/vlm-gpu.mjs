// What the GPU is given for a token, and that no driver which sums wrongly writes a text.
import { readFileSync } from "node:fs";
import { changeShaders } from "../lib/shaders.mjs";

const MODEL = "llama";
const load = (page, options, by = "loadVlm") =>
  page.evaluate(
    ([by, ...a]) => web[by]("m", ...a),
    [by, `/fixtures/decoders/${MODEL}/`, { backend: "webgpu", ...options }],
  );

export async function vlmGpu(test) {
  // On the CPU alone there is nothing to look at.
  if (test.server.search.includes("cpu")) return;
  const golden = JSON.parse(readFileSync(`${test.fixtures.folder}/decoders/${MODEL}/golden.json`, "utf8"));
  await eachToken({ ...test, golden });
  await wrongSums({ ...test, golden });
}

/** Nothing is made for a step, and a late step is given what an early one was. */
async function eachToken({ page, report, golden }) {
  const group = report.group("vlm: what a token asks of the GPU");
  await load(page);
  for (const [name, how] of [
    ["greedy", {}],
    ["drawn", { temperature: 1, seed: 1 }],
  ]) {
    const text = (maxTokens) =>
      page.evaluate((a) => web.writtenWatched("m", ...a), [{ raw: golden.raw }, { maxTokens, ...how }]);
    // The first text may make what the others use again.
    await text(8);
    const [few, some, many] = [await text(8), await text(24), await text(48)];
    group.same(
      `${name}: tokens`,
      [few, some, many].map(({ tokens }) => tokens?.length),
      [8, 24, 48],
    );
    group.same(
      `${name}: buffers that are made`,
      [few, some, many].map(({ seen }) => seen.buffers + seen.textures),
      [0, 0, 0],
    );
    // Steps under way when the text ends are for nothing, as many each time.
    const each = (from, to, what) => (to.seen[what] - from.seen[what]) / (to.tokens.length - from.tokens.length);
    for (const what of ["dispatches", "written", "reads"])
      group.same(`${name}: ${what} of a token`, each(some, many, what), each(few, some, what));
    group.rejects(`${name}: a token for nothing`, each(few, some, "dispatches"), 0);
  }
  group.rejects("buffers that a load makes", (await load(page, {}, "loadVlmWatched")).seen.buffers, 0);
}

/** Reductions that take a workgroup for smaller than it is: the tier is dropped at load, and the text is the reference's. */
async function wrongSums({ browser, server, report, golden }) {
  const group = report.group("vlm: kernels that sum wrongly");
  const write = async (changes, options) => {
    const page = await browser.newPage();
    for (const change of changes) await page.addInitScript(changeShaders, change);
    await page.goto(server.page);
    const info = await load(page, options);
    const { tokens } = await page.evaluate(
      (a) => web.write("m", ...a),
      [{ raw: golden.raw }, { maxTokens: 32, specialTokens: true }],
    );
    await page.close();
    return { place: `${info.backend} ${info.tier}`, note: Boolean(info.note), tokens };
  };
  const ofAttention = ["attention_row", [["let all = sum_over_lanes(lane, total);", "let all = total;"]]];
  const ofPick = ["pick", [["var left = WORKGROUP / 2u;", "var left = 16u;"]]];
  const well = await write([], {});
  group.same("all is well", well, { place: well.place, note: false, tokens: golden.tokens });
  const next = await write([ofAttention], {});
  group.same("attention: another tier", next, { place: "webgpu plain", note: false, tokens: golden.tokens });
  group.rejects("attention: the same tier", next.place, well.place);
  const cpu = await write([ofPick], { backend: "auto" });
  group.same("the largest logit: the CPU", cpu, { place: "cpu plain", note: true, tokens: golden.tokens });
  const asked = await write([ofAttention], { tier: "tiled" });
  group.same("a tier that was asked for: a note", [asked.place, asked.note], ["webgpu tiled", true]);
  group.rejects("and it does write wrongly", asked.tokens, golden.tokens);
}
