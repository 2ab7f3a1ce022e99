/** State outside of elements. It says "change" once for all that changes at a time. */
export class Store extends EventTarget {
  #told = false;

  protected changed(): void {
    if (this.#told) return;
    this.#told = true;
    queueMicrotask(() => {
      this.#told = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}

/** A small value that outlives the visit. Where storage is forbidden it lives as long as the page. */
export function remembered<T>(key: string, fallback: T): { get(): T; set(value: T): void } {
  const name = `ocelli-app.${key}`;
  let here: T | undefined;
  return {
    get() {
      if (here !== undefined) return here;
      try {
        return (here = JSON.parse(localStorage.getItem(name) ?? "null") ?? fallback);
      } catch {
        return (here = fallback);
      }
    },
    set(value) {
      here = value;
      try {
        localStorage.setItem(name, JSON.stringify(value));
      } catch {
        // It is remembered for this visit.
      }
    },
  };
}
