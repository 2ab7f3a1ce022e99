import { html } from "lit";
import { Part } from "../element.ts";
import "./models/in-use.ts";
import "./models/kept-view.ts";
import "./models/model-list.ts";
import "./models/other-model.ts";

/** Which model looks at the pictures of all pages. */
class ModelsPage extends Part {
  protected override render() {
    return html` <h1>Models</h1>
      <p>Choose the model that looks at your images. Every model runs on your device.</p>
      <ocelli-model-in-use class="sheet"></ocelli-model-in-use>
      <ocelli-model-list class="sheet"></ocelli-model-list>
      <ocelli-other-model class="sheet"></ocelli-other-model>
      <ocelli-kept-models class="sheet"></ocelli-kept-models>`;
  }
}

customElements.define("ocelli-models", ModelsPage);
