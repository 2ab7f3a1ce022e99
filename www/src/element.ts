import { LitElement, type ReactiveController } from "lit";

/**
 * What all elements of this app are: a Lit element in the page's own tree, so that the one style sheet, labels and ids reach
 * everywhere. Its state is in stores and in plain fields; `requestUpdate()` after a change.
 */
export class Part extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  /** Renders this element again whenever one of these says that it has changed. */
  protected watch(...stores: EventTarget[]): void {
    this.addController(new Watch(() => this.requestUpdate(), stores));
  }
}

class Watch implements ReactiveController {
  constructor(
    private readonly update: () => void,
    private readonly stores: EventTarget[],
  ) {}

  hostConnected(): void {
    for (const store of this.stores) store.addEventListener("change", this.update);
    this.update();
  }

  hostDisconnected(): void {
    for (const store of this.stores) store.removeEventListener("change", this.update);
  }
}
