import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { notice } from "../parts/notice.ts";
import { toolSwitch } from "../parts/tool-switch.ts";
import { address } from "../state/address.ts";
import { modelsOf, type Task } from "../state/models.ts";
import { switching } from "../state/switching.ts";
import "./picture/picture-area.ts";

interface Tool {
  task: Task;
  /** What asks and answers. */
  element: string;
  /** What is drawn over the picture. */
  layer?: string;
  load: () => Promise<unknown>;
}

/** What can be done with a picture, by the second part of the address. */
const tools: readonly Tool[] = [
  { task: "label", element: "ocelli-label-tool", load: () => import("./picture/label-tool.ts") },
  {
    task: "find",
    element: "ocelli-find-tool",
    layer: "ocelli-found-layer",
    load: () => import("./picture/find-tool.ts"),
  },
  { task: "cut", element: "ocelli-cut-tool", layer: "ocelli-cut-layer", load: () => import("./picture/cut-tool.ts") },
  { task: "ask", element: "ocelli-ask-tool", load: () => import("./picture/ask-tool.ts") },
];

/** One picture, and the tools that look at it. It stays when another tool is taken. */
class PicturePage extends Part {
  /** Elements of the tools that were used, so that one finds them as one left them. */
  readonly #elements = new Map<string, HTMLElement>();
  #tool = tools[0] as Tool;
  #failed: unknown;

  constructor() {
    super();
    address.addEventListener("change", () => void this.#open());
    this.watch(...Object.values(modelsOf));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#open();
  }

  protected override render() {
    const { task, element, layer } = this.#tool;
    return html` <h1>Ask your images anything</h1>
      <p>Private, works offline, no account: nothing leaves your device.</p>
      <div class="bench">
        <section class="picture" aria-label="Image">
          <ocelli-picture-area .layer=${layer ? this.#elements.get(layer) : undefined}></ocelli-picture-area>
        </section>
        <div class="tool">
          ${toolSwitch("picture", ["label", "find", "cut", "ask"], task)}
          ${this.#failed ? notice(this.#failed, () => void this.#open()) : (this.#elements.get(element) ?? nothing)}
        </div>
      </div>`;
  }

  /** Fetches the code of the tool in the address, and what it uses, if that is here. */
  async #open(): Promise<void> {
    if (!this.isConnected || address.page !== "picture") return;
    const asked = tools.find(({ task }) => task === address.part);
    // An address without a tool leads to the last one.
    if (!asked) return location.replace(`#/picture/${this.#tool.task}`);
    this.#tool = asked;
    const { task, element, layer, load } = this.#tool;
    this.#failed = undefined;
    try {
      await load();
    } catch (error) {
      this.#failed = error;
      return this.requestUpdate();
    }
    for (const name of layer ? [element, layer] : [element])
      if (!this.#elements.has(name)) this.#elements.set(name, document.createElement(name));
    this.requestUpdate();
    await switching.resume(task);
  }
}

customElements.define("ocelli-picture", PicturePage);
