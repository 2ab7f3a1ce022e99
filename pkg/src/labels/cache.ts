import { readSafetensors, writeSafetensors } from "../safetensors.js";
import { joined, rowsOf } from "../vectors.js";

/** The browser's cache that has label embeddings, one entry for each model and set of templates. */
const CACHE = "ocelli-labels";

/** The key as an address, as the browser wants it; nothing is ever asked of it. */
const address = (key: string) => `https://ocelli.invalid/?${encodeURIComponent(key)}`;

/** The embeddings that were kept under a key on an earlier visit, by label. */
export async function readLabels(key: string, dim: number): Promise<Map<string, Float32Array>> {
  try {
    const response = await (await caches.open(CACHE)).match(address(key));
    if (!response) return new Map();
    const { tensors, metadata } = await readSafetensors(await response.blob());
    const names = JSON.parse(metadata["names"] as string) as string[];
    const { shape, data } = tensors["embeddings"] as NonNullable<(typeof tensors)[string]>;
    if (shape[0] !== names.length || shape[1] !== dim) return new Map();
    return new Map(rowsOf(data, dim).map((row, i) => [names[i] as string, row]));
  } catch {
    // No cache here, or something else in it: the text tower knows.
    return new Map();
  }
}

/** Keeps embeddings under a key, in place of those that were there. */
export async function writeLabels(key: string, labels: Map<string, Float32Array>, dim: number): Promise<void> {
  const data = joined([...labels.values()], dim);
  const file = writeSafetensors(
    { embeddings: { shape: [labels.size, dim], data } },
    { names: JSON.stringify([...labels.keys()]) },
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
