// Many pictures or texts in one call: the numbers of one by one, in their order, with few pictures in memory.
import { largest } from "../lib/report.mjs";
import { encoded, exact } from "./numbers.mjs";

const CLOSE = 1e-5;
/** Pictures in one run: `BATCH` in src/session/run.rs. */
const BATCH = 8;
const NUMBER = 2 * BATCH + 4;
const PICTURE = { url: "/fixtures/images/rgb-61x37.png" };

export async function batches(test) {
  for (const model of ["clip", "siglip"]) {
    await test.page.evaluate((m) => web.load(m, `/fixtures/${m}/`), model);
    const pictures = await numbers({ ...test, model });
    await texts({ ...test, model });
    if (model === "siglip") await trouble({ ...test, model, pictures });
  }
  await sizes(test);
  await atOnce(test);
}

/** A folder's pictures have many sizes: buffers and the texture serve them all. */
async function sizes({ page, report }) {
  const group = report.group("pictures of many sizes", largest, 0);
  const made = {};
  for (const count of [3, 100]) {
    const name = `sizes ${count}`;
    await page.evaluate((n) => web.load(n, "/fixtures/siglip/", { backend: "webgpu", towers: "vision" }), name);
    const { value, seen, ofPixels } = await page.evaluate(([n, c]) => web.sizes(n, c), [name, count]);
    value.forEach((numbers, at) => group.same(`${name}, picture ${at}: as its pixels give`, numbers, ofPixels[at]));
    group.rejects(`${name}: another picture's`, value[0], value[1]);
    made[count] = seen;
    await page.evaluate((n) => web.dispose(n), name);
  }
  const used = report.beside("pictures of many sizes: what they used");
  const buffers = ({ buffers, readBuffers }) => [buffers - readBuffers];
  used.same("buffers for 100 and for 3", buffers(made[100]), buffers(made[3]));
  used.rejects("one for each", [100], buffers(made[3]));
  used.holds("few textures", made[100].textures <= 3, made[100].textures);
}

const batch = (page, model, pictures, how) => page.evaluate(([m, p, h]) => web.batch(m, p, h), [model, pictures, how]);

/** Twenty pictures and more: three batches, of which the last is not full. Returns them. */
async function numbers({ page, report, fixtures, model, quirks }) {
  // A picture that is turned is made of two bitmaps, which would confuse the count.
  const names = exact(Object.keys(fixtures.golden(model).images), quirks).filter(
    (name) => !name.startsWith("orientation"),
  );
  const all = [...names, ...names.toReversed(), ...names].slice(0, NUMBER);
  const pictures = all.map((name) => ({ url: `/fixtures/images/${name}` }));
  const group = report.group(`${model}: ${all.length} pictures in one call`, largest, CLOSE);
  const used = report.beside(`${model}: what that call used`);
  const single = [];
  for (const picture of pictures) single.push(await page.evaluate(([m, p]) => web.embedImage(m, p), [model, picture]));
  const { value, steps, seen, code, message } = await batch(page, model, pictures);
  group.holds("answers", !code, message);
  all.forEach((name, i) => {
    group.same(`${i}: ${name}`, value[i], single[i]);
    group.same(`${i}: ${name}, golden`, value[i], fixtures.golden(model).images[name].embedding);
  });
  group.rejects("another picture's", value[0], single[1]);
  used.same("progress", steps, [BATCH, 2 * BATCH, all.length]);
  used.rejects("progress of another call", steps, [all.length]);
  used.same("pictures decoded", [seen.decoded], [all.length]);
  used.same("pictures left open", [seen.open], [0]);
  used.holds(`at most ${BATCH} decoded at a time`, seen.mostOpen <= BATCH, seen.mostOpen);
  used.holds("the next batch is begun before the first result is here", seen.begunBefore > BATCH, seen.begunBefore);
  used.rejects("no read", [seen.reads], [0]);
  used.same("reads", [seen.reads], [3]);
  const again = await batch(page, model, pictures, { iterable: "generator" });
  used.same("read-back buffers for a second call", [again.seen.readBuffers], [0]);
  used.holds("a generator gives the same", JSON.stringify(again.value) === JSON.stringify(value), again.message);
  const later = await batch(page, model, pictures, { iterable: "later" });
  used.holds("an async generator gives the same", JSON.stringify(later.value) === JSON.stringify(value), later.message);
  const few = await batch(page, model, pictures.slice(0, 1).concat(Array(19).fill(pictures[1])));
  used.holds("pictures of one size share a texture", few.seen.textures <= 2, few.seen.textures);
  const none = await batch(page, model, []);
  used.same("no pictures", none.value ?? [none.message], []);
  return pictures;
}

async function texts({ page, report, fixtures, model }) {
  const all = fixtures.golden(model).texts.map(({ text }) => text);
  const many = Array.from({ length: 2 * BATCH + 5 }, (_, i) => all[(i * 5) % all.length]);
  const group = report.group(`${model}: ${many.length} texts in one call`, largest, CLOSE);
  const single = new Map();
  for (const text of all) single.set(text, await page.evaluate(([m, t]) => web.embedText(m, t), [model, text]));
  const embed = (texts) => page.evaluate(([m, t]) => web.embedTexts(m, t), [model, texts]);
  const { value, seen } = await embed(many);
  many.forEach((text, i) => group.same(`${i}: ${text}`, value[i], single.get(text)));
  group.rejects("another text's", value[0], single.get(many[1]));
  group.holds("three reads", seen.reads === 3, seen.reads);
  group.holds("no texts", (await embed([])).value?.length === 0);
  for (const wrong of ["a cat", [7], null]) {
    const { code } = await embed(wrong);
    group.holds(`${JSON.stringify(wrong)} is refused`, code === "bad-input", code);
  }
}

/** Each call fails with its code, lets go of everything, and the next one gives the right numbers. */
async function trouble({ page, report, fixtures, model, pictures }) {
  const group = report.group("batches that fail");
  const { value: right } = await batch(page, model, pictures);
  const pixels = encoded(fixtures.exact("rgb-61x37.png"));
  const expect = async (name, code, how, given = pictures, says = "") => {
    const outcome = await batch(page, model, given, how);
    group.same(name, outcome.code ?? "no error", code);
    group.holds(`${name}: says ${says}`, outcome.message?.includes(says), outcome.message);
    group.same(`${name}: pictures left open`, [outcome.seen.open], [0]);
    const after = await batch(page, model, pictures);
    group.same(`${name}: the next call`, JSON.stringify(after.value ?? after.message), JSON.stringify(right));
    return outcome;
  };
  const withBad = (form, at) => pictures.toSpliced(at, 1, { form, pixels, ...PICTURE });
  for (const at of [0, 11, pictures.length - 1]) {
    await expect(`a broken file, ${at}`, "bad-image", {}, withBad("broken Blob", at), `images[${at}]: `);
    await expect(`too wide a picture, ${at}`, "bad-image", {}, withBad("endless ImageData", at), `images[${at}]: `);
    await expect(
      `pixels that went elsewhere, ${at}`,
      "bad-image",
      {},
      withBad("emptied ImageData", at),
      `images[${at}]: `,
    );
  }
  await expect("a string among them", "bad-input", {}, withBad("a string", 12), "images[12]: ");
  await expect("aborted before", "aborted", { abort: "before" });
  const { steps } = await expect("aborted after the first batch", "aborted", { abort: 1 });
  group.same("progress of the aborted one", steps, [BATCH]);
  await expect("an iterable that throws", "bad-input", { iterable: "throws" }, pictures, "the caller's own");
  await expect(
    "an async iterable that throws",
    "bad-input",
    { iterable: "throws later" },
    pictures,
    "the caller's own",
  );
  await expect("onProgress that throws", "bad-input", { progress: "throws" }, pictures, "the caller's own");
  await expect("a number for pictures", "bad-input", { images: 7 });
  await expect("a string for pictures", "bad-input", { images: "picture.png" });
  group.rejects("a sound call has no code", (await batch(page, model, pictures)).code ?? "no error", "bad-image");
}

/** Calls that overlap, and a model that is disposed of while one runs. */
async function atOnce({ page, report, fixtures, quirks }) {
  const group = report.group("batches at once", largest, CLOSE);
  await page.evaluate(() => web.load("once", "/fixtures/clip/"));
  const names = exact(Object.keys(fixtures.golden("clip").images), quirks);
  const pictures = names.map((name) => ({ url: `/fixtures/images/${name}` }));
  const golden = names.map((name) => fixtures.golden("clip").images[name].embedding);
  const [first, one, reversed, last] = await page.evaluate((p) => web.batchesAtOnce("once", p), pictures);
  names.forEach((name, i) => {
    group.same(`first: ${name}`, first[i], golden[i]);
    group.same(`reversed: ${name}`, reversed.at(-1 - i), golden[i]);
    group.same(`under way at dispose(): ${name}`, last[i], golden[i]);
  });
  group.same("the single one", one, golden[0]);
  group.rejects("another picture's", first[0], golden[1]);
  for (const [call, argument] of [
    ["batch", pictures],
    ["embedTexts", ["a cat"]],
  ]) {
    const { code } = await page.evaluate(([c, a]) => web[c]("once", a), [call, argument]);
    group.holds(`${call} after dispose()`, code === "disposed", code);
  }
}
