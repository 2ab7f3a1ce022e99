import { Store } from "./store.ts";

/** Photos that the user has selected, by path. */
export class Selection extends Store {
  readonly #paths = new Set<string>();
  /** From where a range extends. */
  #anchor: string | undefined;

  get size(): number {
    return this.#paths.size;
  }

  get paths(): string[] {
    return [...this.#paths];
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  toggle(path: string): void {
    if (!this.#paths.delete(path)) this.#paths.add(path);
    this.#anchor = path;
    this.changed();
  }

  /** Selects everything in `order` from the last one that was toggled to this one. */
  extend(path: string, order: readonly string[]): void {
    const from = order.indexOf(this.#anchor ?? path);
    const to = order.indexOf(path);
    if (to < 0) return;
    const [first, last] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
    this.add(order.slice(first, last + 1));
    this.#anchor ??= path;
  }

  add(paths: readonly string[]): void {
    for (const path of paths) this.#paths.add(path);
    this.changed();
  }

  /** Drops all but those that `stay`. */
  keep(stays: (path: string) => boolean): void {
    for (const path of this.#paths) if (!stays(path)) this.#paths.delete(path);
    this.changed();
  }

  clear(): void {
    this.#paths.clear();
    this.#anchor = undefined;
    this.changed();
  }
}
