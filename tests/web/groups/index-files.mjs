// An index that is kept: in the browser's storage, and in files that others read.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { largest } from "../lib/report.mjs";
import { cosine, rounded, vectors } from "../lib/vectors.mjs";
import { get, make } from "./index.mjs";

const DIM = 20;
const rows = vectors(90, DIM);
const [query] = vectors(1, DIM, 3);

export async function files(test) {
  await storage(test);
  for (const format of ["f32", "int8"]) await formats(test, format);
  await broken(test);
  python(test, await written(test));
}

const hits = (ask, name) => get(ask, name, "search", query, { k: 90 });

async function storage({ ask, report }) {
  const group = report.group("an index in the browser's storage");
  const many = vectors(2500, DIM, 9);
  const chunks = async (name) => (await ask("chunks", name, "s")).chunks;
  const load = (name, options) => ask("load", name, "s", options);
  await make(ask, "a", many);
  await get(ask, "a", "remove", "i7");
  const right = JSON.stringify(await hits(ask, "a"));
  group.same("chunks of 1,024 rows", [await chunks("a")], [3]);
  await load("b");
  group.same("loaded, the same hits", JSON.stringify(await hits(ask, "b")), right);
  group.same("and size", [await get(ask, "b", "size")], [2499]);
  await get(ask, "b", "add", [{ id: "more", meta: { n: 1 } }], [query]);
  group.same("one more row: the last chunk", [await chunks("b")], [1]);
  group.rejects("all of them", [await chunks("b")], [3]);
  await load("c");
  group.same("it is there", JSON.stringify((await hits(ask, "c"))[0].meta), '{"n":1}');
  group.rejects("not what was saved before", JSON.stringify(await hits(ask, "c")), right);
  // Another instance wrote in between.
  await get(ask, "a", "add", ["other"], [query]);
  group.same("after another's save, all chunks", [await chunks("a")], [3]);
  await load("c");
  group.same("as saved last", (await hits(ask, "c"))[0].id, "other");
  // Most go, so that rows move.
  for (let i = 0; i < 2000; i++) await ask("call", "c", "remove", `i${i}`);
  const few = JSON.stringify(await hits(ask, "c"));
  group.same("after rows have moved", [await chunks("c")], [1]);
  await load("d");
  group.same("and loaded again", JSON.stringify(await hits(ask, "d")), few);
  group.same("another model's", (await load("x", { modelHash: "B" })).code, "wrong-model");
  group.same("the same model's", (await load("x", { modelHash: "A" })).code ?? "no error", "no error");
  await ask("delete", "s");
  const { code, message } = await load("x");
  group.same("deleted", code, "not-found");
  group.holds("says which", message.includes('"s"'), message);
}

const bytesOf = async (ask, name, kind) => Buffer.from((await ask("export", name, kind)).value, "base64");
const cosines = (vectors) => vectors.map((vector) => cosine(vector, query));

/** Reads a .npy file, as NumPy's own specification has it. */
function readNpy(bytes) {
  const header = bytes.toString("latin1", 10, 10 + bytes.readUInt16LE(8));
  const { descr, fortran_order, shape } = JSON.parse(
    header.replaceAll("'", '"').replace("False", "false").replace("(", "[").replace(")", "]").replace(", }", "}"),
  );
  const start = 10 + bytes.readUInt16LE(8);
  const sound =
    bytes.toString("latin1", 0, 8) === "\x93NUMPY\x01\x00" &&
    start % 64 === 0 &&
    header.endsWith("\n") &&
    !fortran_order;
  const number = { "<f4": (at) => bytes.readFloatLE(start + 4 * at), "|i1": (at) => bytes.readInt8(start + at) }[descr];
  const found = Array.from({ length: shape[0] }, (_, i) =>
    Array.from({ length: shape[1] }, (_, d) => number(i * shape[1] + d)),
  );
  return {
    sound: sound && bytes.length === start + shape[0] * shape[1] * (descr === "<f4" ? 4 : 1),
    descr,
    rows: found,
  };
}

function readSafetensors(bytes) {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__, vectors, items } = JSON.parse(bytes.toString("utf8", 8, start));
  const [count, dim] = vectors.shape;
  const data = bytes.subarray(start + vectors.data_offsets[0], start + vectors.data_offsets[1]);
  const number = vectors.dtype === "F32" ? (at) => data.readFloatLE(4 * at) : (at) => data.readInt8(at);
  return {
    sound: start % 8 === 0 && bytes.length === start + items.data_offsets[1],
    hash: __metadata__.modelHash,
    rows: Array.from({ length: count }, (_, i) => Array.from({ length: dim }, (_, d) => number(i * dim + d))),
    items: JSON.parse(bytes.toString("utf8", start + items.data_offsets[0], start + items.data_offsets[1])),
  };
}

async function formats({ ask, report }, format) {
  const group = report.group(`${format}: files, read by others`, largest, 2 ** -22);
  const same = report.beside(`${format}: files, read again`);
  await ask("create", "f", { dim: DIM, modelHash: "Ä", format });
  await get(
    ask,
    "f",
    "add",
    rows.map((_, i) => ({ id: `ü${i}`, meta: { i } })),
    rows,
  );
  await get(ask, "f", "remove", "ü3");
  const kept = rows.filter((_, i) => i !== 3);
  const right = cosines(format === "int8" ? kept.map(rounded) : kept);
  const items = JSON.stringify(await get(ask, "f", "items"));
  const before = await hits(ask, "f");

  const npy = await bytesOf(ask, "f", "npy");
  const parsed = readNpy(npy);
  group.same(".npy", cosines(parsed.rows), right);
  group.rejects("rows that are one off", cosines(parsed.rows), [...right.slice(1), right[0]]);
  group.holds(
    ".npy: header",
    parsed.sound && parsed.descr === (format === "int8" ? "|i1" : "<f4"),
    npy.toString("latin1", 0, 128),
  );
  const safetensors = await bytesOf(ask, "f", "safetensors");
  const tensors = readSafetensors(safetensors);
  group.same(".safetensors", cosines(tensors.rows), right);
  group.holds(".safetensors: header", tensors.sound && tensors.hash === "Ä", tensors.hash);
  same.same(".safetensors: items", JSON.stringify(tensors.items), items);
  const jsonl = await bytesOf(ask, "f", "jsonl");
  const lines = jsonl
    .toString("utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  group.same(".jsonl", cosines(lines.map(({ vector }) => vector)), right);
  same.same(".jsonl: items", JSON.stringify(lines.map(({ id, meta }) => ({ id, meta }))), items);
  group.holds(
    ".jsonl: the model's hash",
    lines.every(({ modelHash }) => modelHash === "Ä"),
  );

  const list = JSON.parse(items);
  for (const [kind, bytes, options] of [
    ["npy", npy, { items: list, modelHash: "Ä" }],
    ["safetensors", safetensors, {}],
    ["jsonl", jsonl, { modelHash: "Ä" }],
  ]) {
    const { message } = await ask("import", "g", bytes.toString("base64"), options);
    if (message) throw new Error(message);
    const after = await hits(ask, "g");
    group.same(
      `${kind}: scores`,
      after.map(({ score }) => score),
      before.map(({ score }) => score),
    );
    same.same(
      `${kind}: ids`,
      after.map(({ id }) => id),
      before.map(({ id }) => id),
    );
    same.same(
      `${kind}: items, hash, format`,
      JSON.stringify([await get(ask, "g", "items"), await get(ask, "g", "modelHash"), await get(ask, "g", "format")]),
      JSON.stringify([list, "Ä", format]),
    );
    const other = await ask("import", "x", bytes.toString("base64"), { ...options, modelHash: "B" });
    if (kind !== "npy") {
      same.same(`${kind}: another model's`, other.code ?? "no error", "wrong-model");
      same.holds(
        `${kind}: names both`,
        ["model B", "model Ä"].every((word) => other.message?.includes(word)),
        other.message,
      );
    }
  }
  same.rejects(
    "another order",
    before.map(({ id }) => id),
    before.map(({ id }) => id).toReversed(),
  );
}

async function broken({ ask, report }) {
  const group = report.group("files that cannot be");
  await make(ask, "f", rows);
  const sound = {};
  for (const kind of ["npy", "safetensors", "jsonl"]) sound[kind] = await bytesOf(ask, "f", kind);
  const options = { items: rows.map((_, i) => `i${i}`), modelHash: "A" };
  const code = async (bytes, more = {}) =>
    (await ask("import", "x", Buffer.from(bytes).toString("base64"), { ...options, ...more })).code ?? "no error";
  for (const [kind, bytes] of Object.entries(sound)) {
    group.same(`${kind}, whole`, await code(bytes), "no error");
    for (const length of [5, 9, 60, bytes.length - 30])
      group.same(`${kind}, ${length} bytes of it`, await code(bytes.subarray(0, length)), "bad-checkpoint");
  }
  const text = (kind, from, to) => Buffer.from(sound[kind].toString("latin1").replace(from, to), "latin1");
  group.same("numbers of eight bytes", await code(text("npy", "|i1", "<f8")), "bad-checkpoint");
  group.same("columns first", await code(text("npy", "False", "True ")), "bad-checkpoint");
  group.same("no vectors", await code(text("safetensors", '"vectors"', '"weights"')), "bad-checkpoint");
  group.same("numbers in halves", await code(text("safetensors", '"I8"', '"F8"')), "bad-checkpoint");
  group.same(
    "a picture",
    await code(readFileSync(new URL("../../../www/samples/cat.png", import.meta.url))),
    "bad-checkpoint",
  );
  group.same("no items", await code(sound.npy, { items: undefined }), "bad-input");
  group.same("no hash", await code(sound.npy, { modelHash: undefined }), "bad-input");
  group.same("too few items", await code(sound.npy, { items: ["a"] }), "bad-input");
  group.same(
    "two models in one file",
    await code(Buffer.concat([sound.jsonl, text("jsonl", /"modelHash":"A"/g, '"modelHash":"B"')])),
    "wrong-model",
  );
  group.rejects("a sound file", await code(sound.safetensors), "bad-checkpoint");
}

/** The three files in a folder, for Python. */
async function written({ ask, site }) {
  for (const format of ["f32", "int8"]) {
    await make(ask, "f", rows, { format });
    for (const kind of ["npy", "safetensors", "jsonl"])
      writeFileSync(site.path(`${format}.${kind}`), await bytesOf(ask, "f", kind));
  }
  return (name) => site.path(name);
}

const SCRIPT = `
import json, sys
import numpy as np
query, out = np.array(json.loads(sys.argv[1])), []
for name in sys.argv[2:]:
    if name.endswith(".npy"):
        vectors = np.load(name)
    elif name.endswith(".safetensors"):
        from safetensors.numpy import load_file
        tensors = load_file(name)
        vectors = tensors["vectors"]
        assert [item["id"] for item in json.loads(tensors["items"].tobytes())][2] == "i2"
    else:
        vectors = np.array([json.loads(line)["vector"] for line in open(name, encoding="utf8")])
    vectors = vectors.astype("f8")
    out.append(list(vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)))
print(json.dumps(out))
`;

/** NumPy and safetensors for Python read what was written: OCELLI_PYTHON, or the benchmark's, or python3, if they are there. */
function python({ report, root }, path) {
  const able = (python, module) => {
    try {
      execFileSync(python, ["-c", `import ${module}`], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };
  const all = [process.env.OCELLI_PYTHON, join(root, "target", "bench", "venv", "bin", "python"), "python3"].filter(
    Boolean,
  );
  const found = all.find((python) => able(python, "numpy"));
  if (!found)
    return report.skip("files, read by NumPy", "no python3 with numpy; OCELLI_PYTHON may name one", { optional: true });
  const kinds = ["npy", "jsonl", ...(able(found, "safetensors.numpy") ? ["safetensors"] : [])];
  const group = report.group(`files, read by Python: ${kinds.join(", ")}`, largest, 2 ** -22);
  for (const format of ["f32", "int8"]) {
    const answers = JSON.parse(
      execFileSync(found, ["-c", SCRIPT, JSON.stringify(query), ...kinds.map((kind) => path(`${format}.${kind}`))], {
        encoding: "utf8",
      }),
    );
    const right = cosines(format === "int8" ? rows.map(rounded) : rows);
    kinds.forEach((kind, i) => group.same(`${format}, ${kind}`, answers[i], right));
    group.rejects("rows that are one off", answers[0], [...right.slice(1), right[0]]);
  }
}
