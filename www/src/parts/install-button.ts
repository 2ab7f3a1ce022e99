import { html, nothing } from "lit";
import { Part } from "../element.ts";

/** What Chromium sends where a page can be installed; TypeScript's DOM lacks it. */
interface InstallEvent extends Event {
  prompt(): Promise<unknown>;
}

/** Installs the app, where the browser offers that; nothing elsewhere, and once it is done. */
class InstallButton extends Part {
  #offer: InstallEvent | undefined;

  constructor() {
    super();
    window.addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault(); // the browser's own bar would cover the page
      this.#set(event as InstallEvent);
    });
    window.addEventListener("appinstalled", () => this.#set(undefined));
  }

  protected override render() {
    return this.#offer ? html`<button type="button" @click=${() => void this.#install()}>Install</button>` : nothing;
  }

  async #install(): Promise<void> {
    const offer = this.#offer;
    this.#set(undefined); // it can be used once
    await offer?.prompt();
  }

  #set(offer: InstallEvent | undefined): void {
    this.#offer = offer;
    this.requestUpdate();
  }
}

customElements.define("ocelli-install", InstallButton);
