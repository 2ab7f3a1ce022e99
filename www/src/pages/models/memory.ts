import type { ModelInfo } from "ocelli";
import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { bytes } from "../../parts/words.ts";
import { modelsOf, tasks, type Task } from "../../state/models.ts";

/** What a model of each task is in use for. */
export const uses: Record<Task, string> = {
  label: "Label, Photos, Live",
  find: "Find, Live",
  cut: "Cut out",
  ask: "Ask",
};

/** Bytes of a weight by its format; q8 and q4 have a scale for each block. */
const BYTES: Record<string, number> = { f32: 4, f16: 2, q8: 9 / 8, q4: 6 / 8 };

/** Bytes that a model takes: on the GPU as counted, on the CPU as far as its weights go. */
function memoryOf({ backend, gpuBytes, parameters, format }: ModelInfo): number {
  return backend === "cpu" ? parameters * (BYTES[format] ?? 4) : gpuBytes;
}

/** The models that are in memory, with a button that frees it. */
class Memory extends Part {
  constructor() {
    super();
    this.watch(...Object.values(modelsOf));
  }

  protected override render() {
    const all = tasks.map((task) => ({ task, models: modelsOf[task], info: modelsOf[task].info }));
    const total = all.reduce((sum, { info }) => sum + (info ? memoryOf(info) : 0), 0);
    return html` <h2>In memory: ${bytes(total)}</h2>
      <ul class="memory" aria-label="Models in memory">
        ${all.map(
          ({ task, models, info }) =>
            html`<li>
              <span class="grow"
                ><span class="small">${uses[task]}</span>
                ${info ? html`<b>${models.choice?.name}</b>` : html`<span class="small">no model loaded</span>`}</span
              >
              ${
                info
                  ? html`<span>${bytes(memoryOf(info))}</span>
                      <button type="button" aria-label="Unload ${models.choice?.name}" @click=${() => models.unload()}>
                        Unload
                      </button>`
                  : nothing
              }
            </li>`,
        )}
      </ul>`;
  }
}

customElements.define("ocelli-memory", Memory);
