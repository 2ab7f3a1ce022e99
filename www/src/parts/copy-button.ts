import { html } from "lit";
import { Part } from "../element.ts";

/** Milliseconds for which it says that it has copied. */
const SAID = 2000;

/** Copies a text, or an image as PNG, when it is pressed. */
class CopyButton extends Part {
  static override properties = { words: { attribute: false }, content: { attribute: false } };
  /** What stands on it. */
  declare words: string;
  declare content: () => string | Promise<Blob>;
  #said = "";

  constructor() {
    super();
    this.words = "Copy";
    this.content = () => "";
  }

  protected override render() {
    return html`<button type="button" @click=${() => void this.#copy()}>${this.words}</button
      ><span class="small" role="status">${this.#said}</span>`;
  }

  async #copy(): Promise<void> {
    try {
      const content = this.content();
      // Safari takes the promise, so that the click still counts when it is kept.
      if (typeof content === "string") await navigator.clipboard.writeText(content);
      else await navigator.clipboard.write([new ClipboardItem({ "image/png": content })]);
      this.#say("Copied.");
    } catch {
      this.#say("The browser won't let this page copy.");
    }
    setTimeout(() => this.#say(""), SAID);
  }

  #say(words: string): void {
    this.#said = words;
    this.requestUpdate();
  }
}

customElements.define("ocelli-copy", CopyButton);
