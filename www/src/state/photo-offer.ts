import { models } from "./models.ts";
import { remembered, Store } from "./store.ts";

const declined = remembered("hint.declined", false);

/** Whether a model for photos is offered to who brings some: the built-in one is in use, and the user has not said "Not now". */
class PhotoOffer extends Store {
  get stands(): boolean {
    return models.isBuiltIn && !declined.get();
  }

  decline(): void {
    declined.set(true);
    this.changed();
  }
}

export const photoOffer = new PhotoOffer();
