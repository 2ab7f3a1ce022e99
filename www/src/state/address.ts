import { Store } from "./store.ts";

/** Addresses of earlier versions, which people have kept. */
const moved: Record<string, string> = { classify: "picture/label", tag: "photos", search: "photos" };

/** The page of an address that names none. */
const HOME = "picture";

/** What stands after `#/` in the address: `page/part?name=value`. */
class Address extends Store {
  page = HOME;
  /** What the page shows of itself, such as a tool; "" if the address does not say. */
  part = "";
  params = new URLSearchParams();

  constructor() {
    super();
    window.addEventListener("hashchange", () => this.#read());
    this.#read();
  }

  #read(): void {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
    const [page, part = ""] = (moved[path] ?? path).split("/");
    this.page = page || HOME;
    this.part = part;
    this.params = new URLSearchParams(query);
    this.changed();
  }
}

export const address = new Address();
