// PyTorch's own files: the numbers of the same weights as safetensors, from servers with ranges and without, and nothing in them runs.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serve } from "../lib/server.mjs";

const PICTURE = "/fixtures/images/rgb-61x37.png";
const TEXT = "a cat";

export async function pytorch({ browser, server, report, fixtures, site }) {
  const group = report.group("PyTorch's own files");
  // A page of its own: the browser writes on its console that there is no model.safetensors.
  const page = await browser.newPage();
  await page.goto(server.page);
  const ask = (folder, options = {}) =>
    page.evaluate(
      ([folder, options, picture, text]) =>
        web.attempt(async () => {
          const { progress } = await web.load("pytorch", folder, options);
          const image = options.towers === "text" ? null : await web.embedImage("pytorch", { url: picture });
          const words = options.towers === "vision" ? null : await web.embedText("pytorch", text);
          await web.dispose("pytorch");
          return { image, words, last: progress.at(-1) };
        }),
      [folder, options, PICTURE, TEXT],
    );
  const folder = (file, model, name = "pytorch_model.bin") => {
    const path = site.path(`pytorch-${file}`);
    cpSync(fixtures.model(model), path, { recursive: true, filter: (from) => !from.endsWith("model.safetensors") });
    cpSync(join(fixtures.model("pytorch"), file), join(path, name));
    return site.url(`pytorch-${file}/`);
  };
  const read = () => server.sent.filter(({ path }) => path.endsWith(".bin")).reduce((sum, { bytes }) => sum + bytes, 0);

  // Another origin that answers ranges, and lets no page see how long a file is.
  const other = await serve({ "/site/": site.folder }, { "access-control-allow-origin": "*" });
  const elsewhere = other.url.replace(/\/$/, "");
  const equal = (what, { value, message }, tower, expected) => {
    const found = JSON.stringify(value?.[tower] ?? message ?? "nothing");
    group.same(`${what}: ${tower}`, found, JSON.stringify(expected[tower]));
    group.rejects(
      `${what}: ${tower} for the other`,
      found,
      JSON.stringify(expected[tower === "image" ? "words" : "image"]),
    );
  };
  for (const [file, model, modes, name] of [
    ["clip-eos.bin", "clip-eos", ["", "/norange", elsewhere]],
    ["clip-eos-legacy.bin", "clip-eos", ["", "/norange"]],
    ["clip-eos-training.bin", "clip-eos", [""]],
    ["siglip-bf16-5.bin", "siglip-bf16", [""]],
    ["open-clip.bin", "open-clip", [""], "open_clip_pytorch_model.bin"],
  ]) {
    const url = folder(file, model, name);
    const whole = readFileSync(join(fixtures.model("pytorch"), file)).length;
    const expected = (await ask(`/fixtures/${model}/`)).value;
    for (const mode of modes) {
      const what = `${file}${mode && (mode === elsewhere ? ", from elsewhere" : ", no ranges")}`;
      server.sent.length = 0;
      const found = await ask(mode + url);
      for (const tower of ["image", "words"]) equal(what, found, tower, expected);
      group.same(`${what}: progress ends`, String(found.value?.last.loaded), String(found.value?.last.total));
      // Once for the first bytes, and once as a whole.
      if (mode === "/norange") group.holds(`${what}: bytes that were sent`, read() <= 2 * whole, read());
    }
    if (modes.length < 2) continue;
    for (const [towers, tower] of [
      ["vision", "image"],
      ["text", "words"],
    ]) {
      server.sent.length = 0;
      equal(`${file}, ${towers}`, await ask(url, { towers }), tower, expected);
      const requests = server.sent.filter(({ path }) => path.endsWith(".bin")).length;
      group.holds(`${file}, ${towers}: requests`, requests < 40, requests);
    }
  }

  const cached = site.url("pytorch-clip-eos.bin/");
  const first = await ask(cached, { cache: true });
  // Whether it has changed is asked without a range.
  const ranges = () => server.sent.filter(({ path, range }) => path.endsWith(".bin") && range).length;
  group.rejects("the first time: ranges", String(ranges()), "0");
  server.sent.length = 0;
  const second = await ask(cached, { cache: true });
  group.same(
    "from the cache",
    JSON.stringify(second.value?.words ?? second.message),
    JSON.stringify(first.value?.words),
  );
  group.same("from the cache: ranges", String(ranges()), "0");
  await page.evaluate(async () => Promise.all((await caches.keys()).map((name) => caches.delete(name))));

  const sound = readFileSync(join(fixtures.model("pytorch"), "clip-eos.bin"));
  const name = Buffer.from("collections\nOrderedDict\n");
  const evil = Buffer.from(sound);
  // As many bytes, so that all else stays in its place.
  Buffer.from("subprocess\ncheck_output\n").subarray(0, name.length).copy(evil, sound.indexOf(name));
  for (const [what, bytes, says] of [
    ["calls something", evil, "refused, and nothing was executed"],
    ["cut off", sound.subarray(0, sound.length >> 1), "table at its end"],
    ["a web page", Buffer.from("<!doctype html>"), "a web page"],
  ]) {
    writeFileSync(join(site.path("pytorch-clip-eos.bin"), "pytorch_model.bin"), bytes);
    const { code, message } = await ask(cached);
    group.same(what, code, "bad-checkpoint");
    group.holds(`${what}: says so`, message?.includes(says) && message.includes("pytorch_model.bin"), message);
  }
  await page.close();
  other.close();
}
