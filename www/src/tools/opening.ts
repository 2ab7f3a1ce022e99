import type { ReactiveController } from "lit";
import type { Part } from "../element.ts";
import { address } from "../state/address.ts";

/** What computes while a tool is in sight, and takes what the address asks of it: when the tool comes, and whenever the address changes. */
export class Opening implements ReactiveController {
  constructor(
    host: Part,
    private readonly opened: { open: boolean },
    private readonly take: () => void,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.opened.open = true;
    address.addEventListener("change", this.take);
    this.take();
  }

  hostDisconnected(): void {
    this.opened.open = false;
    address.removeEventListener("change", this.take);
  }
}
