import { html } from "lit";
import { Part } from "../element.ts";

class LivePage extends Part {
  protected override render() {
    return html`<h1>Live</h1>`;
  }
}

customElements.define("ocelli-live", LivePage);
