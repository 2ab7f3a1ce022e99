import { html } from "lit";
import { Part } from "../element.ts";

class ClassifyPage extends Part {
  protected override render() {
    return html`<h1>Classify</h1>`;
  }
}

customElements.define("ocelli-classify", ClassifyPage);
