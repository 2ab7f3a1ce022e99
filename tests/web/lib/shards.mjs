// A checkpoint of one file, written as one of two.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const NAMES = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/** Copies a model's folder to `path`, in shards. `named` is what the index calls each of them. */
export function intoShards(folder, path, named = (shard) => shard) {
  cpSync(folder, path, { recursive: true });
  const file = readFileSync(join(path, "model.safetensors"));
  rmSync(join(path, "model.safetensors"));
  const length = Number(file.readBigUInt64LE(0));
  const header = Object.entries(JSON.parse(file.subarray(8, 8 + length))).filter(
    ([tensor]) => tensor !== "__metadata__",
  );
  const parts = NAMES.map((_, part) => header.filter((_, at) => at % 2 === part));
  parts.forEach((tensors, part) =>
    writeFileSync(join(path, NAMES[part]), safetensors(tensors, file.subarray(8 + length))),
  );
  const places = parts.flatMap((tensors, part) => tensors.map(([tensor]) => [tensor, named(NAMES[part])]));
  writeFileSync(join(path, "model.safetensors.index.json"), JSON.stringify({ weight_map: Object.fromEntries(places) }));
}

/** A safetensors file of these tensors of another. */
function safetensors(tensors, data) {
  let end = 0;
  const pieces = tensors.map(
    ([
      ,
      {
        data_offsets: [from, to],
      },
    ]) => data.subarray(from, to),
  );
  const moved = tensors.map(([tensor, info], at) => [
    tensor,
    { ...info, data_offsets: [end, (end += pieces[at].length)] },
  ]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(moved)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...pieces]);
}
