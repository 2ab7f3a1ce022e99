import { remembered, Store } from "./store.ts";

/** Boxes with a lower score are none, whatever the user chooses. */
export const LEAST = 0.05;

const kept = remembered("find.from", 0.2);

/** The score from which on boxes are shown, on all pages. */
class ShowFrom extends Store {
  get score(): number {
    return kept.get();
  }

  set score(score: number) {
    kept.set(score);
    this.changed();
  }
}

export const showFrom = new ShowFrom();
