import type { ModelInfo } from "ocelli";

/** "7.2 MB": decimal units, as browsers show downloads. */
export function bytes(count: number): string {
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} MB`;
  return `${(count / 1e9).toFixed(2)} GB`;
}

/** A number in millions, such as "7.6 M". */
export function millions(count: number): string {
  return `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} M`;
}

const FAMILIES: Record<ModelInfo["family"], string> = {
  clip: "CLIP",
  siglip: "SigLIP",
  owlvit: "OWL-ViT",
  owlv2: "OWLv2",
  clipseg: "CLIPSeg",
  llama: "Llama",
  qwen2: "Qwen2",
  qwen3: "Qwen3",
  gemma: "Gemma",
  gemma2: "Gemma 2",
  gemma3_text: "Gemma 3",
  smolvlm: "SmolVLM",
  paligemma: "PaliGemma",
  llava: "LLaVA",
  llava_onevision: "LLaVA-OneVision",
  florence2: "Florence-2",
};

/** The model's family, for display. */
export function familyOf({ family }: ModelInfo): string {
  return FAMILIES[family];
}

/** Stand-ins for a GPU, by the names that browsers give them. */
export const software = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** What the package says of where a model runs, for display. */
export function noteOf({ backend, note = "" }: ModelInfo): string {
  return backend === "cpu" && software.test(note) ? "No hardware GPU found, so Ocelli runs on the CPU (slower)." : note;
}

const numbers = new Intl.NumberFormat("en");

/** A whole number, such as "1,000". */
export function number(value: number): string {
  return numbers.format(value);
}

/** A count with its noun, such as "1 photo" or "1,000 photos". */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** A rough duration: "20 s", "3 min", "2 h". */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
