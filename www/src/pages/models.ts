import { html } from "lit";
import { Part } from "../element.ts";

class ModelsPage extends Part {
  protected override render() {
    return html`<h1>Models</h1>`;
  }
}

customElements.define("ocelli-models", ModelsPage);
