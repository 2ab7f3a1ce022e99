import { breath } from "./breath.js";
import type { Calls } from "./calls.js";
import { aborted } from "./error.js";

/** How long the CPU may work on texts before whatever else waits in its thread gets a turn. */
const PART_MS = 50;

/**
 * Embeddings of texts, one after the other. The CPU gets them part by part: in between frames and events have their turn, and a call
 * that is stopped leaves the rest undone, in a worker as well.
 */
export async function embedTexts(
  core: Pick<Calls, "info" | "embedTexts">,
  texts: string[],
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const check = () => {
    if (signal?.aborted) throw aborted(signal.reason, "call");
  };
  check();
  const { backend, embeddingDim } = core.info;
  if (backend !== "cpu" || texts.length < 2) return core.embedTexts(texts);
  const rows = new Float32Array(texts.length * embeddingDim);
  let many = 1;
  for (let at = 0; at < texts.length;) {
    const part = texts.slice(at, at + many);
    const begun = performance.now();
    rows.set(await core.embedTexts(part), at * embeddingDim);
    at += part.length;
    // Of the speed of this part; at most twice as many, because the first ones may have been short.
    const fits = (part.length * PART_MS) / (performance.now() - begun);
    many = Math.max(1, Math.floor(Math.min(fits, 2 * many)));
    await breath();
    check();
  }
  return rows;
}
