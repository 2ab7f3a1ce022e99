import type { ModelInfo } from "ocelli";
import { byId, bytes, make } from "./dom.ts";

const list = byId("facts", "dl");

/** Stand-ins for a GPU, by the names that browsers give them. */
const software = /swiftshader|llvmpipe|lavapipe|basic render/i;

export interface Runs {
  /** Milliseconds from the call to the answer, labels and picture together. */
  first: number | undefined;
  last: number | undefined;
}

/** What ran where, and how long it took. The first run is apart: the browser still compiles the shaders during it. */
export function showFacts(info: ModelInfo, runs: Runs): void {
  const onCpu = info.backend === "cpu";
  const facts: [name: string, value: string, note: string][] = [
    onCpu
      ? ["Runs on", "CPU", info.note ?? ""]
      : ["GPU", info.adapter || "not named by the browser", software.test(info.adapter) ? "software, not a GPU: slow" : ""],
    ["Last run", time(runs.last), "picture and new labels"],
    ["First run", time(runs.first), onCpu ? "" : "shaders compiled"],
    ["Downloaded", bytes(info.downloadBytes), `${millions(info.parameters)} parameters`],
    onCpu ? ["Weights", info.format, "in memory"] : ["On the GPU", bytes(info.gpuBytes), `weights as ${info.format}`],
    [onCpu ? "Steps" : "Dispatches", `${info.dispatchesPerImage} + ${info.dispatchesPerText}`, "a picture + a text"],
    ["Model", info.family === "clip" ? "CLIP" : "SigLIP", `${info.imageSize} pixels to ${info.embeddingDim} numbers`],
  ];
  list.replaceChildren(...facts.map(([name, value, note]) =>
    make("div", { "data-fact": name.toLowerCase() }, make("dt", {}, name), make("dd", {}, value, make("small", {}, note)))));
}

function time(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return "–";
  return milliseconds < 9.95 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds).toLocaleString("en")} ms`;
}

const millions = (count: number): string => `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} million`;
