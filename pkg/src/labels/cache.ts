import { readSafetensors, writeSafetensors } from "../safetensors.js";
import { joined, rowsOf } from "../vectors.js";

/** The browser's cache that has label embeddings, one entry for each model and set of templates. */
const CACHE = "ocelli-labels";

/** The key as an address, as the browser wants it; nothing is ever asked of it. */
const address = (key: string) => `https://ocelli.invalid/?${encodeURIComponent(key)}`;

/** A label as the text tower says it. */
export interface LabelText {
  /** The mean over its templates. */
  embedding: Float32Array;
  /** Whether any of its texts is longer than the tower takes, so that its end is left out. */
  cut: boolean;
}

/** What was kept under a key on an earlier visit, by label. */
export async function readLabels(key: string, dim: number): Promise<Map<string, LabelText>> {
  try {
    const response = await (await caches.open(CACHE)).match(address(key));
    if (!response) return new Map();
    const { tensors, metadata } = await readSafetensors(await response.blob());
    const names = JSON.parse(metadata["names"] as string) as string[];
    const cut = new Set(JSON.parse(metadata["cut"] ?? "[]") as string[]);
    const { shape, data } = tensors["embeddings"] as NonNullable<(typeof tensors)[string]>;
    if (shape[0] !== names.length || shape[1] !== dim) return new Map();
    const text = (embedding: Float32Array, i: number): [string, LabelText] => {
      const name = names[i] as string;
      return [name, { embedding, cut: cut.has(name) }];
    };
    return new Map(rowsOf(data, dim).map(text));
  } catch {
    // No cache here, or something else in it: the text tower knows.
    return new Map();
  }
}

/** Keeps labels under a key, in place of those that were there. */
export async function writeLabels(key: string, labels: Map<string, LabelText>, dim: number): Promise<void> {
  const rows = [...labels.values()].map(({ embedding }) => embedding);
  const cut = [...labels].flatMap(([name, text]) => (text.cut ? [name] : []));
  const file = writeSafetensors(
    { embeddings: { shape: [labels.size, dim], data: joined(rows, dim) } },
    { names: JSON.stringify([...labels.keys()]), cut: JSON.stringify(cut) },
  );
  try {
    await (await caches.open(CACHE)).put(address(key), new Response(file));
  } catch {
    // It is full or forbidden: the next visit asks the text tower again.
  }
}

/** Forgets the labels of all models. */
export async function clearLabels(): Promise<void> {
  try {
    await globalThis.caches?.delete(CACHE);
  } catch {
    // Forbidden: there are none.
  }
}
