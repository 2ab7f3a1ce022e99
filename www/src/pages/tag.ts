import { html } from "lit";
import { Part } from "../element.ts";

class TagPage extends Part {
  protected override render() {
    return html`<h1>Tag</h1>`;
  }
}

customElements.define("ocelli-tag", TagPage);
