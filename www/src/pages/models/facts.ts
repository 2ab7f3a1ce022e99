import type { ModelInfo } from "ocelli";
import { bytes, familyOf, millions, number } from "../../parts/words.ts";

export function deviceOf({ backend, adapter, threads }: ModelInfo): string {
  if (backend === "cpu") return `CPU, ${threads === 1 ? "one thread" : `${threads} threads`}`;
  return `GPU: ${adapter || "not named by the browser"}`;
}

/** The properties of a loaded model, as names and values. */
export function factsOf(info: ModelInfo): [name: string, value: string][] {
  const { backend, imageSize, maxNumPatches, embeddingDim, defaultScore, context } = info;
  const embeds = info.tasks.includes("embed");
  const when = (is: boolean, name: string, value: string): [name: string, value: string][] =>
    is ? [[name, value]] : [];
  return [
    ["Kind", familyOf(info)],
    ["Runs on", deviceOf(info)],
    ["Kernels", info.tier],
    ["Weights", info.format],
    [
      "Sees",
      maxNumPatches === null ? `${imageSize} × ${imageSize} px` : `its own shape, up to ${maxNumPatches} patches`,
    ],
    ...when(embeds, "Embedding", `${embeddingDim}-d`),
    ...when(context !== null, "Context", `${number(context ?? 0)} tokens`),
    ["Parameters", millions(info.parameters)],
    ...when(backend !== "cpu", "GPU memory", bytes(info.gpuBytes)),
    ["GPU passes", `${info.dispatchesPerImage} per image, ${info.dispatchesPerText} per text`],
    ...when(embeds, "Score", defaultScore),
    ["Downloaded now", info.downloadBytes > 0 ? bytes(info.downloadBytes) : "nothing, it was here"],
  ];
}
