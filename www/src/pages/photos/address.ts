import type { ReactiveController, ReactiveControllerHost } from "lit";
import { address } from "../../state/address.ts";
import { searching } from "./searching.ts";

const PAGE = "photos";

/** Keeps the words of the address, `#/photos?q=words`, and those of the search the same, so that a search can be bookmarked and shared. */
export function followAddress(host: ReactiveControllerHost): void {
  host.addController(new Words());
}

class Words implements ReactiveController {
  readonly #moved = () => {
    if (address.page === PAGE) this.#read();
  };
  readonly #searched = () => this.#write();

  hostConnected(): void {
    address.addEventListener("change", this.#moved);
    searching.addEventListener("change", this.#searched);
    // Who comes back without words in the address finds those that were there.
    if (address.params.has("q")) this.#read();
    this.#write();
  }

  hostDisconnected(): void {
    address.removeEventListener("change", this.#moved);
    searching.removeEventListener("change", this.#searched);
  }

  #read(): void {
    const words = address.params.get("q") ?? "";
    if (words !== typed()) searching.ask({ words });
  }

  #write(): void {
    if (address.page !== PAGE) return;
    const words = typed();
    const hash = words ? `#/${PAGE}?q=${encodeURIComponent(words)}` : `#/${PAGE}`;
    // Each key is not a step of the history.
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }
}

/** The words that are looked for; none where a picture is. */
function typed(): string {
  const { query } = searching;
  return "words" in query ? query.words.trim() : "";
}
