import type { ReactiveController, ReactiveControllerHost } from "lit";
import { searching } from "./searching.ts";

/** The page's address; `?q=` holds the words that are looked for, so that a search can be bookmarked and shared. */
const PAGE = "#/photos";

/** Keeps the words of the address and those of the search the same while an element is shown. */
export function followAddress(host: ReactiveControllerHost): void {
  host.addController(new Address());
}

class Address implements ReactiveController {
  readonly #moved = () => {
    if (isHere()) this.#read();
  };
  readonly #searched = () => this.#write();

  hostConnected(): void {
    window.addEventListener("hashchange", this.#moved);
    // Who comes back without words of their own finds those that were there.
    if (wordsOf(location.hash) !== "") this.#read();
    searching.addEventListener("change", this.#searched);
    this.#write(true);
  }

  hostDisconnected(): void {
    window.removeEventListener("hashchange", this.#moved);
    searching.removeEventListener("change", this.#searched);
  }

  #read(): void {
    const words = wordsOf(location.hash);
    const { query } = searching;
    if (!("words" in query) || query.words !== words) searching.ask({ words });
  }

  /** @param named The page may have been asked for by an earlier name. */
  #write(named = false): void {
    const { query } = searching;
    const words = "words" in query ? query.words.trim() : "";
    if (!named && (!isHere() || words === wordsOf(location.hash).trim())) return;
    // Each key is not a step of the history.
    history.replaceState(null, "", words ? `${PAGE}?q=${encodeURIComponent(words)}` : PAGE);
  }
}

function isHere(): boolean {
  return location.hash.split("?")[0] === PAGE;
}

function wordsOf(hash: string): string {
  return new URLSearchParams(hash.split("?")[1] ?? "").get("q") ?? "";
}
