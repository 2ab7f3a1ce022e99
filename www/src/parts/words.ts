import type { ModelInfo } from "ocelli";

/** "7.2 MB": decimal units, as browsers show downloads. */
export function bytes(count: number): string {
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} MB`;
  return `${(count / 1e9).toFixed(2)} GB`;
}

/** A number in millions, such as "7.6 million". */
export function millions(count: number): string {
  return `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} million`;
}

/** The model's family, for display. */
export function familyOf({ family }: ModelInfo): string {
  return family === "clip" ? "CLIP" : "SigLIP";
}
