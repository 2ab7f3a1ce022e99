import { OcelliError } from "../error.js";
import type { Content, Label } from "./content.js";
import { readSafetensors, writeSafetensors, type Tensor } from "../safetensors.js";
import type { ModelInfo, Score } from "../types.js";
import { joined, rowsOf } from "../vectors.js";

/** The key of the file's metadata. */
const KEY = "ocelli.labels";

interface Head {
  version: 1;
  modelHash: string;
  format: string;
  templates: string[];
  score: Score;
  labels: { name: string; text: boolean; examples: number; threshold: number | null }[];
}

/** A safetensors file, whose metadata says what is in it. */
export function writeLabelFile(
  { labels, neutral, nothing, templates, score }: Content,
  { modelHash, format, embeddingDim: dim }: ModelInfo,
): Blob {
  const head: Head = {
    version: 1,
    modelHash,
    format,
    templates,
    score,
    labels: labels.map(({ name, text, examples, threshold }) => ({
      name,
      text: !!text,
      examples: examples?.count ?? 0,
      threshold: threshold ?? null,
    })),
  };
  const tensor = (rows: (Float32Array | undefined)[]): Tensor => {
    const there = rows.filter((row) => row !== undefined);
    return { shape: [there.length, dim], data: joined(there, dim) };
  };
  const tensors = {
    texts: tensor(labels.map(({ text }) => text)),
    examples: tensor(labels.map(({ examples }) => examples?.sum)),
    neutral: tensor([neutral]),
    nothing: tensor([nothing]),
  };
  return writeSafetensors(tensors, { [KEY]: JSON.stringify(head) });
}

/** @throws {OcelliError} With code `bad-input` for what is no such file, or `wrong-model` for another model's. */
export async function readLabelFile(file: Blob, { modelHash, embeddingDim: dim }: ModelInfo): Promise<Content> {
  const { head, tensors } = await parse(file);
  if (head.modelHash !== modelHash) {
    throw new OcelliError(
      "wrong-model",
      `labels file: expected model ${modelHash}, which is loaded, found labels of model ${head.modelHash}: load that one, or make them again.`,
    );
  }
  const rows = (name: string) => {
    const { shape, data } = tensors[name] ?? { shape: [0, 0], data: new Float32Array() };
    if (shape[1] !== dim) throw broken(`${name}: expected rows of ${dim} numbers, found ${shape[1]}`);
    return rowsOf(data, dim);
  };
  const [texts, sums] = [rows("texts"), rows("examples")];
  const labels = head.labels.map(({ name, text, examples: count, threshold }): Label => {
    const own = text ? texts.shift() : undefined;
    const sum = count > 0 ? sums.shift() : undefined;
    if (!own && !sum) throw broken(`${name}: expected a text or examples, found neither`);
    return { name, text: own, examples: sum && { sum, count }, threshold: threshold ?? undefined };
  });
  return {
    labels,
    neutral: rows("neutral")[0],
    nothing: rows("nothing")[0],
    templates: head.templates,
    score: head.score,
  };
}

async function parse(file: Blob): Promise<{ head: Head; tensors: Record<string, Tensor> }> {
  if (!(file instanceof Blob))
    throw new OcelliError("bad-input", `labels file: expected a Blob, found ${typeof file}.`);
  try {
    const { metadata, tensors } = await readSafetensors(file);
    const head = JSON.parse(metadata[KEY] ?? "{}") as Partial<Head>;
    if (head.version !== 1 || !head.labels?.length)
      throw new Error(`expected labels of version 1, found version ${String(head.version)}`);
    return { head: head as Head, tensors };
  } catch (cause) {
    throw broken(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function broken(what: string, cause?: unknown): OcelliError {
  return new OcelliError("bad-input", `labels file: ${what}: save the labels again.`, { cause });
}
