import { html } from "lit";
import { Part } from "../element.ts";
import { toolSwitch } from "../parts/tool-switch.ts";
import { address } from "../state/address.ts";
import { modelsOf, tasks } from "../state/models.ts";
import { Toolbox } from "../tools/toolbox.ts";
import "./picture/picture-area.ts";

/** One picture, and the tools that look at it. It stays when another tool is taken. */
class PicturePage extends Part {
  readonly #tools = new Toolbox();

  constructor() {
    super();
    address.addEventListener("change", () => void this.#open());
    this.watch(this.#tools, ...Object.values(modelsOf));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#open();
  }

  protected override render() {
    const { task = "label", layer } = this.#tools;
    return html` <h1>Ask your images anything</h1>
      <p>Private, works offline, no account: nothing leaves your device.</p>
      <div class="bench">
        <section class="picture" aria-label="Image">
          <ocelli-picture-area .layer=${layer}></ocelli-picture-area>
        </section>
        <div class="tool">${toolSwitch("picture", tasks, task)} ${this.#tools.view()}</div>
      </div>`;
  }

  /** Takes the tool in the address. */
  async #open(): Promise<void> {
    if (!this.isConnected || address.page !== "picture") return;
    const task = tasks.find((task) => task === address.part);
    // An address without a tool leads to the last one.
    if (!task) return location.replace(`#/picture/${this.#tools.task ?? "label"}`);
    await this.#tools.take(task);
  }
}

customElements.define("ocelli-picture", PicturePage);
