import { html } from "lit";
import { Part } from "../element.ts";
import { toolSwitch } from "../parts/tool-switch.ts";
import { address } from "../state/address.ts";
import { modelsOf, tasks } from "../state/models.ts";
import "./models/in-use.ts";
import "./models/kept-view.ts";
import "./models/memory.ts";
import "./models/model-list.ts";
import "./models/other-model.ts";

/** Which models look at the images, by task. */
class ModelsPage extends Part {
  constructor() {
    super();
    this.watch(address, ...Object.values(modelsOf));
  }

  protected override render() {
    const task = tasks.find((task) => task === address.part) ?? "label";
    return html` <h1>Models</h1>
      <p>Every model runs on your device, and is downloaded only when you choose it.</p>
      <ocelli-memory class="sheet"></ocelli-memory>
      ${toolSwitch("models", tasks, task)}
      <ocelli-model-in-use class="sheet" .task=${task}></ocelli-model-in-use>
      <ocelli-model-list class="sheet" .task=${task}></ocelli-model-list>
      <ocelli-other-model class="sheet" .task=${task}></ocelli-other-model>
      <ocelli-kept-models class="sheet"></ocelli-kept-models>`;
  }
}

customElements.define("ocelli-models", ModelsPage);
