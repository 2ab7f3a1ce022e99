import type { ModelInfo } from "ocelli";
import { bytes, familyOf, millions } from "../../parts/words.ts";

export function deviceOf({ backend, adapter, threads }: ModelInfo): string {
  if (backend === "cpu") return `CPU, ${threads === 1 ? "one thread" : `${threads} threads`}`;
  return `GPU: ${adapter || "not named by the browser"}`;
}

/** The properties of a loaded model, as names and values. */
export function factsOf(info: ModelInfo): [name: string, value: string][] {
  const { backend, imageSize, maxNumPatches, embeddingDim, defaultScore } = info;
  return [
    ["Kind", familyOf(info)],
    ["Runs on", deviceOf(info)],
    ["Kernels", info.tier],
    ["Weights", info.format],
    [
      "Sees",
      maxNumPatches === null ? `${imageSize} × ${imageSize} px` : `its own shape, up to ${maxNumPatches} patches`,
    ],
    ["Embedding", `${embeddingDim}-d`],
    ["Parameters", millions(info.parameters)],
    ...(backend === "cpu" ? [] : [["GPU memory", bytes(info.gpuBytes)] as [string, string]]),
    ["GPU passes", `${info.dispatchesPerImage} per image, ${info.dispatchesPerText} per text`],
    ["Score", defaultScore],
    ["Downloaded now", info.downloadBytes > 0 ? bytes(info.downloadBytes) : "nothing, it was here"],
  ];
}
