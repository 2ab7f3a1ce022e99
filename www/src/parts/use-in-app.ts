import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "./copy-button.ts";

/** Code that does what the page does, and the address that shows it again. */
class UseInApp extends Part {
  static override properties = { code: { attribute: false }, link: { attribute: false } };
  declare code: string;
  /** The address; undefined if there is nothing to share. */
  declare link: string | undefined;

  constructor() {
    super();
    this.code = "";
    this.link = undefined;
  }

  protected override render() {
    const { link } = this;
    return html`<details class="fold">
      <summary>Use this in your app</summary>
      <pre class="code" tabindex="0" role="region" aria-label="Code"><code>${this.code}</code></pre>
      <div class="row">
        <ocelli-copy .words=${"Copy code"} .content=${() => this.code}></ocelli-copy>
        ${link ? html`<ocelli-copy .words=${"Copy link"} .content=${() => new URL(link, location.href).href}></ocelli-copy>` : nothing}
      </div>
    </details>`;
  }
}

customElements.define("ocelli-use-in-app", UseInApp);
