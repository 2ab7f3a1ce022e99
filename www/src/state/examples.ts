import type { Ocelli } from "ocelli";
import { database, type ExampleRecord } from "./db.ts";
import { shrunk } from "./shrink.ts";
import { Store } from "./store.ts";

/** An example is kept as the square that a model sees, or little more: enough for any of them. */
const SIDE = 512;

/** Pictures by which the user has taught labels: every list that has such a label uses them, with every model. */
class Examples extends Store {
  #all: ExampleRecord[] = [];
  /** Embeddings by model and example, computed on first use. */
  readonly #embeddings = new Map<string, Promise<Float32Array>>();

  /** Reads the examples of earlier visits. */
  async open(): Promise<void> {
    this.#all = await (await database()).getAll("examples");
    this.changed();
  }

  of(label: string): readonly ExampleRecord[] {
    return this.#all.filter((one) => one.label === label);
  }

  get labels(): string[] {
    return [...new Set(this.#all.map(({ label }) => label))];
  }

  /** @throws {DOMException} If one of them is no picture; then none is taken. */
  async teach(label: string, pictures: readonly Blob[]): Promise<void> {
    const made = await Promise.all(
      pictures.map(async (picture) => ({
        id: crypto.randomUUID(),
        label,
        picture: await shrunk(picture, SIDE, "high", { type: "image/png" }),
      })),
    );
    const store = (await database()).transaction("examples", "readwrite");
    await Promise.all([...made.map((one) => store.store.put(one)), store.done]);
    this.#all.push(...made);
    this.changed();
  }

  /** Deletes one example, or all examples of a label. */
  async forget(what: { id: string } | { label: string }): Promise<void> {
    const goes = (one: ExampleRecord) => ("id" in what ? one.id === what.id : one.label === what.label);
    const store = (await database()).transaction("examples", "readwrite");
    await Promise.all([...this.#all.filter(goes).map(({ id }) => store.store.delete(id)), store.done]);
    this.#all = this.#all.filter((one) => !goes(one));
    this.changed();
  }

  /** A model's embeddings of the examples of a label. */
  embeddings(model: Ocelli, label: string): Promise<Float32Array[]> {
    return Promise.all(
      this.of(label).map(({ id, picture }) => {
        const key = `${model.info.modelHash} ${id}`;
        let made = this.#embeddings.get(key);
        if (!made) {
          this.#embeddings.set(key, (made = model.embedImage(picture)));
          made.catch(() => this.#embeddings.delete(key));
        }
        return made;
      }),
    );
  }
}

export const examples = new Examples();
