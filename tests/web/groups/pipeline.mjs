// Pipelines with the arguments and results of transformers.js: what they give is what the package's own classes give, in other words.
const PICTURE = "/fixtures/images/rgb-61x37.png";
const OTHER = "/fixtures/images/grey-50x31.png";
const LABELS = ["a cat", "two dogs", "a red cup"];

/** What transformers.js' documentation says that its examples give; a feature's numbers come as data and as lists. */
const SHAPES = {
  "zero-shot-image-classification": "[{label: string, score: number}]",
  "zero-shot-object-detection":
    "[{label: string, score: number, box: {xmin: number, ymin: number, xmax: number, ymax: number}}]",
  "image-feature-extraction": "{dims: [number], type: string, size: number, data: [number], list: [[number]]}",
  "image-segmentation":
    "[{label: string, score: null, mask: {data: [number], width: number, height: number, channels: number}}]",
  "image-to-text": "[{generated_text: string}]",
  "image-text-to-text": "[{generated_text: string}]",
};

/** In the words of {@link SHAPES}; of a list its first entry. */
function shapeOf(value) {
  if (Array.isArray(value)) return `[${value.length ? shapeOf(value[0]) : "nothing"}]`;
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return `{${Object.entries(value)
    .map(([key, one]) => `${key}: ${shapeOf(one)}`)
    .join(", ")}}`;
}

export async function pipeline(test) {
  const { page, report } = test;
  const call = async (task, ...given) => {
    const found = await page.evaluate((a) => web.callPipeline(...a), [task, ...given]);
    return found.value ? found.value.answer : found;
  };
  const load = (task, model, options) => page.evaluate((a) => web.loadPipeline(...a), [task, model, options]);
  const text = JSON.stringify;

  let group = report.group("pipeline: zero-shot-image-classification");
  let task = "zero-shot-image-classification";
  const { value: told } = await load(task, "/fixtures/clip/", { dtype: "fp32" });
  const statuses = told.map(({ status }) => status).filter((status, at, all) => status !== all[at - 1]);
  group.same("progress", statuses.join(), "initiate,progress,done,ready");
  const last = told.findLast(({ status }) => status === "progress");
  group.same("progress: all of it", [last.progress, last.loaded], [100, last.total]);
  group.same("about", (await page.evaluate((t) => web.aboutPipeline(t), task)).slice(0, 1), [task]);
  await page.evaluate(() => web.load("own", "/fixtures/clip/", { format: "none" }));
  const own = async (template) => {
    const calls = [{ labels: LABELS, options: { template } }];
    const { answers } = await page.evaluate((a) => web.classifyAtOnce(...a), ["own", { url: PICTURE }, calls]);
    return text(answers[0].value.map(({ label, score }) => ({ label, score })));
  };
  const one = await call(task, PICTURE, LABELS);
  group.same("labels and scores", text(one), await own("This is a photo of {}"));
  const template = "a drawing of {}.";
  const drawn = await call(task, PICTURE, LABELS, { hypothesis_template: template });
  group.same("a template", text(drawn), await own(template));
  group.rejects("another template", text(one), text(drawn));
  group.same("several pictures", text(await call(task, [PICTURE, PICTURE], LABELS)), text([one, one]));

  group = report.group("pipeline: zero-shot-object-detection");
  task = "zero-shot-object-detection";
  await load(task, "/fixtures/owlv2/");
  await page.evaluate(() => web.loadFinder("own", "detect", "/fixtures/owlv2/"));
  await page.evaluate((url) => web.look("own", "seen", { url }), PICTURE);
  const boxes = async (options) => {
    const found = await page.evaluate((a) => web.detectIn(...a), ["seen", LABELS, options]);
    return text(
      found.map(({ label, score, box: { x, y, width, height } }) => ({
        label,
        score,
        box: { xmin: x, ymin: y, xmax: x + width, ymax: y + height },
      })),
    );
  };
  const found = await call(task, PICTURE, LABELS, { threshold: 0.01 });
  group.holds("something is found", found.length > 3, found.length);
  group.same("boxes", text(found), await boxes({ threshold: 0.01 }));
  const shares = await call(task, PICTURE, LABELS, { threshold: 0.01, percentage: true, top_k: 3 });
  group.same(
    "shares of the sides, the best ones",
    text(shares),
    await boxes({ threshold: 0.01, normalized: true, topK: 3 }),
  );
  group.rejects("pixels", text(shares), text(found.slice(0, 3)));

  group = report.group("pipeline: image-feature-extraction");
  task = "image-feature-extraction";
  await load(task, "/fixtures/clip/");
  const features = await call(task, [PICTURE, OTHER]);
  const vectors = [];
  for (const url of [PICTURE, OTHER])
    vectors.push(Array.from(await page.evaluate((u) => web.embedImage("own", { url: u }), url)));
  group.same(
    "dims, type, size",
    text([features.dims, features.type, features.size]),
    text([[2, vectors[0].length], "float32", 2 * vectors[0].length]),
  );
  group.same("numbers", features.data, vectors.flat());
  group.same("as lists", text(features.list), text(vectors));
  group.rejects("in another order", features.data, vectors.toReversed().flat());
  group.same("one picture", (await call(task, PICTURE)).data, vectors[0]);
  group.same("hidden states", (await call(task, PICTURE, { pool: false })).code, "bad-input");

  group = report.group("pipeline: image-segmentation");
  task = "image-segmentation";
  await load(task, "/fixtures/clipseg-refined/");
  await page.evaluate(() => web.loadFinder("own", "segment", "/fixtures/clipseg-refined/"));
  await page.evaluate((url) => web.look("own", "seen", { url }), PICTURE);
  const masks = await call(task, PICTURE, LABELS, { threshold: 0.5 });
  const areas = async (threshold) => page.evaluate((a) => web.areasIn(...a), ["seen", LABELS, { threshold }]);
  const areaOf = ({ mask }) => mask.data.reduce((sum, value) => sum + (value === 255), 0);
  group.same("labels", masks.map(({ label }) => label).join(), LABELS.join());
  group.same(
    "sizes",
    text(masks.map(({ mask }) => [mask.width, mask.height, mask.channels, mask.data.length])),
    text(LABELS.map(() => [61, 37, 1, 61 * 37])),
  );
  group.same("areas", masks.map(areaOf), await areas(0.5));
  group.rejects("another threshold", masks.map(areaOf), await areas(0.4));

  group = report.group("pipeline: image-to-text");
  task = "image-to-text";
  await load(task, "/fixtures/decoders/paligemma/");
  await page.evaluate(() => web.loadVlm("own", "/fixtures/decoders/paligemma/"));
  const caption = await page.evaluate((a) => web.caption(...a), ["own", { url: PICTURE }, { maxTokens: 12 }]);
  const { value: captioned } = await page.evaluate(
    (a) => web.callPipeline(...a),
    [task, PICTURE, { max_new_tokens: 12, on_text: true }],
  );
  group.same("a caption", text(captioned.answer), text([{ generated_text: caption.text }]));
  group.same("piece by piece", captioned.told.join(""), caption.text);
  const short = await call(task, [PICTURE, PICTURE], { max_new_tokens: 3 });
  group.same(
    "of several pictures",
    short.map((texts) => texts.length),
    [1, 1],
  );
  group.rejects("fewer tokens", short[0][0].generated_text, caption.text);
  group.same(
    "drawn: one seed",
    text(await call(task, PICTURE, { do_sample: true, seed: 3, max_new_tokens: 12 })),
    text(await call(task, PICTURE, { temperature: 1, seed: 3, max_new_tokens: 12 })),
  );
  group.rejects(
    "drawn",
    text(await call(task, PICTURE, { do_sample: true, seed: 3, max_new_tokens: 12 })),
    text(captioned.answer),
  );

  group = report.group("pipeline: image-text-to-text");
  task = "image-text-to-text";
  await load(task, "/fixtures/decoders/smolvlm/");
  await page.evaluate(() => web.loadVlm("own", "/fixtures/decoders/smolvlm/"));
  const question = "What is this?";
  const said = await page.evaluate(
    (a) => web.write(...a),
    ["own", { prompt: question, image: { url: PICTURE } }, { maxTokens: 12 }],
  );
  const answered = await call(task, PICTURE, question, { max_new_tokens: 12 });
  group.same("a picture and a text", text(answered), text([{ generated_text: said.text }]));
  group.rejects("another text", text(await call(task, PICTURE, "Why?", { max_new_tokens: 12 })), text(answered));
  const content = [
    { type: "image_url", image_url: { url: PICTURE } },
    { type: "text", text: question },
  ];
  group.same("messages", text(await call(task, [{ role: "user", content }], { max_new_tokens: 12 })), text(answered));

  group = report.group("pipeline: transformers.js' own examples");
  for (const [task, shape] of Object.entries(SHAPES)) {
    const { value, message } = await page.evaluate((a) => web.pipelineSnippet(...a), [task, PICTURE]);
    group.same(task, message ?? shapeOf(value), shape);
  }
  group.rejects("another shape", SHAPES["image-to-text"], SHAPES["image-segmentation"]);

  group = report.group("pipeline: what cannot be");
  const refused = async (what, code, words, found) => {
    const { code: other, message = "" } = await found;
    group.same(`${what}: ${words}`, [other, message.includes(words)], [code, true]);
  };
  await refused("a task", "bad-input", "zero-shot-image-classification", load("summarization", "/fixtures/clip/"));
  await refused("dtype", "bad-input", '"q4f16"', load(task, "/fixtures/decoders/smolvlm/", { dtype: "q2" }));
  await refused("device", "bad-input", '"wasm"', load(task, "/fixtures/decoders/smolvlm/", { device: "cuda" }));
  await refused(
    "an option",
    "bad-input",
    "session_options",
    load(task, "/fixtures/decoders/smolvlm/", { session_options: {} }),
  );
  await refused("beams", "bad-input", "num_beams", call(task, PICTURE, question, { num_beams: 4 }));
  await refused("no text", "bad-input", "messages", call(task, PICTURE));
  await refused("the wrong model", "wrong-model", "clip", load("image-to-text", "/fixtures/clip/"));
  group.same("the next call works", text(await call(task, PICTURE, question, { max_new_tokens: 12 })), text(answered));
  await page.evaluate((t) => web.disposePipeline(t), task);
  await refused("disposed", "disposed", "load it again", call(task, PICTURE, question));
  group.rejects(
    "a pipeline that is there",
    (await call("zero-shot-image-classification", PICTURE, LABELS)).code ?? "none",
    "disposed",
  );
}
