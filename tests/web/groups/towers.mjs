// One tower alone: the same numbers, and no byte of the other's weights.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const PICTURE = "/fixtures/images/rgb-61x37.png";
const TEXT = "a cat";

export async function towers({ page, server, report, fixtures }) {
  const group = report.group("one tower alone");
  for (const model of ["clip", "siglip2"]) {
    const ask = (name, folder, options) =>
      page.evaluate(
        async ([name, folder, options, picture, text]) => {
          const { info, progress } = await web.load(name, folder, options);
          const image = await web.attempt(() => web.embedImage(name, { url: picture }));
          const words = await web.attempt(() => web.embedText(name, text));
          await web.dispose(name);
          return { info, last: progress.at(-1), image, words };
        },
        [name, folder, options, PICTURE, TEXT],
      );
    const both = await ask("both", `/fixtures/${model}/`, {});
    for (const [tower, mine, other] of [
      ["vision", "image", "words"],
      ["text", "words", "image"],
    ]) {
      for (const server_ of ["", "/norange"]) {
        const what = `${model}, ${tower}${server_}`;
        server.sent.length = 0;
        const alone = await ask("alone", `${server_}/fixtures/${model}/`, { towers: tower });
        group.same(`${what}: embedding`, JSON.stringify(alone[mine].value), JSON.stringify(both[mine].value));
        group.same(`${what}: info.towers`, alone.info.towers, tower);
        group.same(`${what}: without the other`, alone[other].code, "bad-input");
        group.holds(`${what}: says how to get it`, alone[other].message?.includes("both"), alone[other].message);
        group.same(`${what}: progress ends`, String(alone.last.loaded), String(alone.last.total));
        const ranges = server.sent.filter(({ path }) => path.endsWith("model.safetensors")).map(({ range }) => range);
        const foreign = (ranges) =>
          String(overlap(fixtures.model(model), ranges, tower === "vision" ? "text" : "vision"));
        if (server_ === "") group.same(`${what}: bytes of the other tower`, foreign(ranges), "0");
        group.rejects(`${what}: the whole file`, foreign([undefined]), "0");
        const tokenizers = server.sent.filter(({ path }) => path.endsWith("tokenizer.json")).length;
        group.same(`${what}: tokenizers fetched`, String(tokenizers), tower === "text" ? "1" : "0");
      }
    }
  }
}

/** The token table stays on the server: the same numbers, and only rows that texts need are fetched. */
export async function table({ browser, page, server, report, fixtures, site, native }) {
  const group = report.group("the token table on the server");
  native.quantize(fixtures.model("siglip2"), site.path("table-q4"), "q4");
  const texts = [TEXT, "two dogs on a sofa", TEXT];
  for (const folder of ["/fixtures/clip/", "/fixtures/siglip2/", "/fixtures/open-clip/", site.url("table-q4/")]) {
    const fresh = await browser.newPage();
    await fresh.goto(server.page);
    const ask = (options) =>
      fresh.evaluate(
        async ([folder, options, texts]) => {
          await web.load("table", folder, options);
          const all = [];
          for (const text of texts) all.push(await web.embedText("table", text));
          return all;
        },
        [folder, options, texts],
      );
    const expected = await ask({ towers: "text" });
    server.sent.length = 0;
    const found = await ask({ towers: "text", tokenTable: "server" });
    group.same(`${folder}: embeddings`, JSON.stringify(found), JSON.stringify(expected));
    group.rejects(`${folder}: another text`, JSON.stringify(found[1]), JSON.stringify(found[0]));
    const requests = server.sent.filter(({ path }) => path.endsWith(".safetensors"));
    const ranges = requests.map(({ path, range }) => `${path} ${range}`);
    group.same(`${folder}: every row once`, String(new Set(ranges).size), String(ranges.length));
    const whole = requests.filter(({ range }) => !range).length;
    group.same(`${folder}: whole files`, String(whole), "0");
    await fresh.close();
  }
  const refused = await page.evaluate(
    (text) =>
      web
        .load("table", "/norange/fixtures/clip/", { tokenTable: "server" })
        .then(() => web.attempt(() => web.embedText("table", text))),
    TEXT,
  );
  group.same("a server without ranges", refused.code, "not-found");
  group.holds("says what to do", refused.message?.includes('"memory"'), refused.message);
}

/** How many bytes of a tower's tensors were asked for. */
function overlap(folder, ranges, tower) {
  const file = readFileSync(join(folder, "model.safetensors"));
  const data = 8 + Number(file.readBigUInt64LE(0));
  const tensors = Object.entries(JSON.parse(file.subarray(8, data))).filter(([name]) =>
    new RegExp(`^(${tower}|${tower === "vision" ? "visual" : tower})_`).test(name),
  );
  let bytes = 0;
  for (const range of ranges) {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [, 0, file.length - 1];
    for (const [
      ,
      {
        data_offsets: [start, end],
      },
    ] of tensors) {
      bytes += Math.max(0, Math.min(Number(to) + 1, data + end) - Math.max(Number(from), data + start));
    }
  }
  return bytes;
}
