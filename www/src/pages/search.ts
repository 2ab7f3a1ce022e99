import { html } from "lit";
import { Part } from "../element.ts";

class SearchPage extends Part {
  protected override render() {
    return html`<h1>Search</h1>`;
  }
}

customElements.define("ocelli-search", SearchPage);
