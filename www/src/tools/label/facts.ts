import type { ModelInfo } from "ocelli";
import { html } from "lit";
import { bytes, familyOf, millions, noteOf, software } from "../../parts/words.ts";
import type { Runs } from "./judge.ts";

/** What ran where, and how long it took. The first run is apart: on a GPU the browser still compiles the shaders during it. */
export function facts(name: string, info: ModelInfo, runs: Runs) {
  const onCpu = info.backend === "cpu";
  const all: [name: string, value: string, note: string][] = [
    onCpu
      ? ["Runs on", "CPU", noteOf(info)]
      : [
          "GPU",
          info.adapter || "not named by the browser",
          software.test(info.adapter) ? "software, not a GPU: slow" : "",
        ],
    ["Images processed", String(runs.count), "changing labels costs nothing"],
    ["Last image", time(runs.last), ""],
    ["First image", time(runs.first), onCpu ? "" : "includes compiling shaders"],
    info.downloadBytes > 0
      ? ["Downloaded", bytes(info.downloadBytes), "in this visit"]
      : ["Downloaded", "nothing", "the model was here already"],
    [
      "Weights",
      info.format,
      onCpu
        ? `${millions(info.parameters)} parameters`
        : `${millions(info.parameters)} parameters, ${bytes(info.gpuBytes)} on the GPU`,
    ],
    ["Model", name, `${familyOf(info)} · ${info.imageSize} × ${info.imageSize} px → ${info.embeddingDim}-d embedding`],
  ];
  return html`<dl class="facts">
    ${all.map(
      ([name, value, note]) =>
        html`<div data-fact=${name.toLowerCase()}>
          <dt>${name}</dt>
          <dd>${value}<small>${note}</small></dd>
        </div>`,
    )}
  </dl>`;
}

function time(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return "–";
  return milliseconds < 9.95 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds).toLocaleString("en")} ms`;
}
