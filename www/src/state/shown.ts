import type { Picture } from "./picture.ts";
import { Store } from "./store.ts";

/** The picture that tools look at: that of the page "Picture", or a photo of the page "Photos". */
class Shown extends Store {
  #picture: Picture | undefined;

  get picture(): Picture | undefined {
    return this.#picture;
  }

  /** Shows another picture. Its address is revoked when the next one comes. */
  take(picture: Picture): void {
    if (this.#picture) URL.revokeObjectURL(this.#picture.address);
    this.#picture = picture;
    this.changed();
  }
}

export const shown = new Shown();
