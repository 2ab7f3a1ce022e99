import { OcelliError } from "../error.js";
import { writeSafetensors } from "../safetensors.js";
import type { Rows } from "./rows.js";
import type { IndexFile, Item, Vector } from "./types.js";

/** The part of an index that a file holds: rows and their items. */
export interface IndexContent {
  rows: Rows;
  live: number[];
  items: Item<unknown>[];
  modelHash: string;
}

/** The content of a file. */
export interface Parsed {
  vectors: Vector[];
  dim: number;
  /** Whether the vectors are int8, with 127 as the largest number. */
  bytes: boolean;
  items: Item<unknown>[] | undefined;
  modelHash: string | undefined;
}

const MAGIC = "\u0093NUMPY";

export function write(kind: IndexFile, content: IndexContent): Blob {
  if (kind === "npy") return npy(content);
  if (kind === "safetensors") return safetensors(content);
  if (kind === "jsonl") return jsonl(content);
  throw new OcelliError("bad-input", `export: expected "npy", "safetensors" or "jsonl", found ${String(kind)}.`);
}

/** Reads any of the three kinds of file, which the first bytes tell apart. */
export function parse(bytes: Uint8Array<ArrayBuffer>): Parsed {
  if (latin1(bytes.subarray(0, 6)) === MAGIC) return parseNpy(bytes);
  // The length of a safetensors header is eight bytes, and ends with zeros.
  if (bytes[8] === 0x7b && bytes[7] === 0) return parseSafetensors(bytes);
  if (bytes[0] === 0x7b) return parseJsonl(bytes);
  throw broken(`expected a .npy, .safetensors or .jsonl file, found ${bytes.length} bytes of another kind`);
}

/** Writes NumPy's format 1.0. */
function npy({ rows, live }: IndexContent): Blob {
  const header = `{'descr': '${rows.format === "int8" ? "|i1" : "<f4"}', 'fortran_order': False, 'shape': (${live.length}, ${rows.dim}), }`;
  // Magic, version and length are ten bytes; the data begin at a multiple of 64.
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const start = Uint8Array.from(MAGIC + "\x01\x00" + String.fromCharCode(length & 255, length >> 8), (c) =>
    c.charCodeAt(0),
  );
  return new Blob([start, `${header.padEnd(length - 1)}\n`, dense(rows, live)]);
}

function parseNpy(bytes: Uint8Array<ArrayBuffer>): Parsed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 10 || bytes[6] !== 1)
    throw broken(`.npy: expected version 1.0, found ${bytes[6]}.${bytes[7]}: save it with numpy.save`);
  const start = 10 + view.getUint16(8, true);
  const header = latin1(bytes.subarray(10, start));
  const [, type] = /'descr': '([^']*)'/.exec(header) ?? [];
  const [, count, dim] = /'shape': \((\d+), (\d+)\)/.exec(header) ?? [];
  if ((type !== "<f4" && type !== "|i1") || !/'fortran_order': False/.test(header) || !count || !dim) {
    throw broken(
      `.npy: expected '<f4' or '|i1' of shape (rows, dim) in C order, found ${header.trim()}: save numpy.ascontiguousarray(vectors, 'float32')`,
    );
  }
  return {
    ...split(bytes.slice(start), Number(count), Number(dim), type === "|i1", ".npy"),
    items: undefined,
    modelHash: undefined,
  };
}

/** Writes the tensors "vectors", [rows, dim], and "items", JSON in UTF-8. */
function safetensors({ rows, live, items, modelHash }: IndexContent): Blob {
  const json = new TextEncoder().encode(JSON.stringify(items));
  const vectors = {
    dtype: rows.format === "int8" ? "I8" : "F32",
    shape: [live.length, rows.dim],
    data: dense(rows, live),
  } as const;
  return writeSafetensors({ vectors, items: { dtype: "U8", shape: [json.length], data: json } }, { modelHash });
}

interface TensorEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

function parseSafetensors(bytes: Uint8Array<ArrayBuffer>): Parsed {
  const start = 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = json(bytes.subarray(8, start), ".safetensors: header") as {
    __metadata__?: { modelHash?: string };
    vectors?: TensorEntry;
    items?: TensorEntry;
  };
  const { vectors, items } = header;
  const [count, dim] = vectors?.shape ?? [];
  if (!vectors || !["F32", "I8"].includes(vectors.dtype) || count === undefined || dim === undefined) {
    throw broken(
      `.safetensors: expected a tensor "vectors" of F32 or I8, [rows, dim], found ${JSON.stringify(vectors ?? Object.keys(header))}`,
    );
  }
  const data = ({ data_offsets: [from, to] }: TensorEntry) => bytes.slice(start + from, start + to);
  return {
    ...split(data(vectors), count, dim, vectors.dtype === "I8", ".safetensors"),
    items: items && (json(data(items), ".safetensors: items") as Item<unknown>[]),
    modelHash: header.__metadata__?.modelHash,
  };
}

/** Writes a line for each item: { id, vector, meta, modelHash }. */
function jsonl({ rows, live, items, modelHash }: IndexContent): Blob {
  return new Blob(
    live.map((row, i) => {
      // Nine digits tell any two numbers in f32 apart.
      const vector = Array.from(rows.numbers(row), (x) => Number(x.toPrecision(9)));
      return `${JSON.stringify({ ...items[i], vector, modelHash })}\n`;
    }),
  );
}

function parseJsonl(bytes: Uint8Array<ArrayBuffer>): Parsed {
  const parsed: Parsed & { items: Item<unknown>[] } = {
    vectors: [],
    dim: 0,
    bytes: false,
    items: [],
    modelHash: undefined,
  };
  // Line by line, because all of it may be more than a string can hold.
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    const text = bytes.subarray(start, end < 0 ? bytes.length : end);
    start = end < 0 ? bytes.length : end + 1;
    if (text.length === 0) continue;
    const { id, vector, meta, modelHash } = json(text, `.jsonl: line ${line}`) as Item<unknown> & {
      vector?: number[];
      modelHash?: string;
    };
    if (!Array.isArray(vector)) throw broken(`.jsonl: line ${line}: expected a vector, found ${typeof vector}`);
    if (modelHash !== undefined) parsed.modelHash ??= modelHash;
    if (modelHash !== undefined && modelHash !== parsed.modelHash) {
      throw new OcelliError(
        "wrong-model",
        `.jsonl: line ${line}: expected a vector of model ${parsed.modelHash}, as before, found model ${modelHash}: keep a file for each.`,
      );
    }
    parsed.dim ||= vector.length;
    parsed.vectors.push(vector);
    parsed.items.push(meta === undefined ? { id } : { id, meta });
  }
  parsed.bytes = parsed.vectors.every(
    (vector) => (vector as number[]).every(Number.isInteger) && Math.max(...vector.map(Math.abs)) === 127,
  );
  return parsed;
}

function split(
  data: Uint8Array<ArrayBuffer>,
  count: number,
  dim: number,
  bytes: boolean,
  what: string,
): { vectors: Vector[]; dim: number; bytes: boolean } {
  const expected = count * dim * (bytes ? 1 : 4);
  if (data.length !== expected)
    throw broken(`${what}: expected ${expected} bytes of vectors, found ${data.length}: the file is incomplete`);
  const all = bytes ? new Int8Array(data.buffer) : new Float32Array(data.buffer);
  return { vectors: Array.from({ length: count }, (_, i) => all.subarray(i * dim, (i + 1) * dim)), dim, bytes };
}

/** The bytes of the rows without their padding. */
function dense(rows: Rows, live: number[]): Uint8Array<ArrayBuffer> {
  const size = rows.dim * rows.numberBytes;
  const all = new Uint8Array(live.length * size);
  live.forEach((row, i) => all.set(rows.bytes(row, row + 1).subarray(0, size), i * size));
  return all;
}

function json(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw broken(`${what}: expected JSON, found ${String(cause)}`);
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function broken(why: string): OcelliError {
  return new OcelliError("bad-checkpoint", `The index cannot be read: ${why}.`);
}
