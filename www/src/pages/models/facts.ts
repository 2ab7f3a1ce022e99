import type { ModelInfo } from "ocelli";
import { bytes, familyOf, millions } from "../../parts/words.ts";

export function deviceOf({ backend, adapter }: ModelInfo): string {
  return backend === "cpu" ? "CPU, one thread" : `GPU: ${adapter || "not named by the browser"}`;
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
      maxNumPatches === null
        ? `${imageSize} × ${imageSize} pixels`
        : `up to ${maxNumPatches} patches of a picture in its own shape`,
    ],
    ["Embedding", `${embeddingDim} numbers`],
    ["Parameters", millions(info.parameters)],
    ...(backend === "cpu" ? [] : [["GPU memory", bytes(info.gpuBytes)] as [string, string]]),
    ["Steps", `${info.dispatchesPerImage} a picture, ${info.dispatchesPerText} a text`],
    ["Score", defaultScore],
    ["Downloaded now", info.downloadBytes > 0 ? bytes(info.downloadBytes) : "nothing, it was kept"],
  ];
}
