import { OcelliError } from "../error.js";
import { Turns } from "../turns.js";
import type { Backend, ImageInput } from "../types.js";
import { parse, write } from "./files.js";
import { Rows, unit } from "./rows.js";
import { passWords, Scan } from "./scan.js";
import { above, passesRow, pauses, topK } from "./select.js";
import { load, remove, save, type Saved } from "./store.js";
import type { Bytes } from "../source/types.js";
import type {
  AddOptions,
  CreateOptions,
  EmbeddingModel,
  Hit,
  ImportOptions,
  IndexFile,
  IndexFormat,
  Item,
  OpenOptions,
  SearchOptions,
  Vector,
} from "./types.js";

/** Rows that are compared with all others in one run. Each run waits for the GPU once. */
const TOGETHER = 32;

/**
 * Exact search over embeddings by cosine: on the GPU, or without one on the CPU, with the same answers.
 *
 * ```ts
 * const index = await ImageIndex.create<{ year: number }>({ model });
 * await index.add(files.map((file) => ({ id: file.name, meta: { year: 2024 } })), files);
 * const hits = await index.search("a red car", { k: 5, filter: ({ meta }) => meta!.year > 2020 });
 * for (const { id, score } of hits) console.log(id, score);
 * await index.save("photos");
 * ```
 *
 * Vectors alone do as well, with `{ dim, modelHash }` in place of a model. `M` is the type of the items' `meta`.
 */
export class ImageIndex<M = unknown> {
  /** Numbers in a vector. */
  readonly dim: number;
  /** How the vectors are stored. */
  readonly format: IndexFormat;
  /** Hash of the model that made all vectors here. */
  readonly modelHash: string;
  readonly #model: EmbeddingModel | undefined;
  readonly #rows: Rows;
  readonly #options: OpenOptions;
  /** The item of each row; undefined after it was removed. */
  #items: (Item<M> | undefined)[] = [];
  readonly #places = new Map<string, number>();
  #scan: Scan | undefined;
  #saved: Saved | undefined;
  /** What works on rows by their numbers takes turns: meanwhile rows are added and removed, but none moves. */
  readonly #turns = new Turns();
  #disposed = false;

  private constructor(rows: Rows, modelHash: string, scan: Scan | undefined, options: OpenOptions) {
    this.dim = rows.dim;
    this.format = rows.format;
    this.modelHash = modelHash;
    this.#rows = rows;
    this.#model = options.model;
    this.#scan = scan;
    this.#options = options;
  }

  /**
   * An empty index: `{ model }`, or `{ dim, modelHash }` for vectors alone.
   *
   * @throws {OcelliError} With code `bad-input`, or `wrong-model` if the options contradict the model.
   */
  static create<M = unknown>(options: CreateOptions): Promise<ImageIndex<M>> {
    const { format = "int8", dim = options.model?.info.embeddingDim } = options;
    if (!Number.isInteger(dim) || (dim as number) < 1)
      throw new OcelliError(
        "bad-input",
        `dim: expected how many numbers a vector has, found ${dim}: pass it, or a model.`,
      );
    if (format !== "int8" && format !== "f32")
      throw new OcelliError("bad-input", `format: expected "int8" or "f32", found ${String(format)}.`);
    return ImageIndex.#open<M>(new Rows(dim as number, format), undefined, options);
  }

  /**
   * An index that was saved in this browser by {@link ImageIndex.save}.
   *
   * ```ts
   * const index = await ImageIndex.load("photos", { model });
   * ```
   *
   * @throws {OcelliError} With code `not-found` if there is none, `wrong-model` if it is of another model, or `storage`.
   */
  static async load<M = unknown>(name: string, options: OpenOptions = {}): Promise<ImageIndex<M>> {
    const { head, rows, saved } = await load(name);
    const index = await ImageIndex.#open<M>(rows, head.modelHash, options);
    index.#items = head.items as (Item<M> | undefined)[];
    index.#items.forEach((item, row) => item && index.#places.set(item.id, row));
    index.#saved = saved;
    return index;
  }

  /** Deletes the index that was saved under a name; a name without an index is no error. */
  static delete(name: string): Promise<void> {
    return remove(name);
  }

  /**
   * An index from a file: what {@link ImageIndex.export} wrote, or vectors from elsewhere. A `.npy` file has vectors alone, so that it
   * needs `items` and `modelHash`.
   *
   * ```ts
   * const index = await ImageIndex.import(file, { model });
   * ```
   *
   * @throws {OcelliError} With code `bad-checkpoint` if the file is broken, or `wrong-model` if it is of another model.
   */
  static async import<M = unknown>(
    file: Blob | ArrayBuffer | Bytes,
    options: ImportOptions<M> = {},
  ): Promise<ImageIndex<M>> {
    const parsed = parse(new Uint8Array(await new Blob([file]).arrayBuffer()));
    const { format = parsed.bytes ? "int8" : "f32", items = parsed.items as Item<M>[] | undefined } = options;
    if (!items)
      throw new OcelliError(
        "bad-input",
        `items: expected an id for each of ${parsed.vectors.length} vectors, found none: pass them.`,
      );
    const index = await ImageIndex.#open<M>(new Rows(parsed.dim, format), parsed.modelHash, options);
    await index.add(items, parsed.vectors);
    return index;
  }

  static async #open<M>(rows: Rows, hash: string | undefined, options: OpenOptions): Promise<ImageIndex<M>> {
    const { model, backend = "auto" } = options;
    const told = options.modelHash ?? model?.info.modelHash;
    sameModel("the model", told, model?.info.modelHash);
    sameModel("the index", told, hash);
    if (model && model.info.embeddingDim !== rows.dim) {
      throw new OcelliError(
        "wrong-model",
        `the model: expected one with vectors of ${rows.dim} numbers, as in the index, found ${model.info.embeddingDim}: make another index for it.`,
      );
    }
    const modelHash = told ?? hash;
    if (typeof modelHash !== "string")
      throw new OcelliError(
        "bad-input",
        `modelHash: expected what tells the vectors' model from others, found ${modelHash}: pass it, or a model.`,
      );
    if (!["auto", "webgpu", "cpu"].includes(backend))
      throw new OcelliError("bad-input", `backend: expected "auto", "webgpu" or "cpu", found ${String(backend)}.`);
    const scan = await request(rows.format, options);
    if (!scan && backend === "webgpu")
      throw new OcelliError(
        "no-webgpu",
        'backend: expected a GPU to search on, found none: leave it at "auto" to search on the CPU then.',
      );
    return new ImageIndex<M>(rows, modelHash, scan, options);
  }

  /** Number of items. */
  get size(): number {
    return this.#places.size;
  }

  /** Where it searches; `"cpu"` where there is no GPU that can, or once the GPU has refused twice. */
  get backend(): Backend {
    return this.#scan ? "webgpu" : "cpu";
  }

  /** Whether there is an item with this id. */
  has(id: string): boolean {
    return this.#places.has(id);
  }

  /** All items, in the order in which they were added; that of the vectors in an exported file. */
  items(): Item<M>[] {
    return this.#items.filter((item) => item !== undefined);
  }

  /**
   * An item's vector, at unit length; undefined if there is no such item. Of an `int8` index it is what is left after rounding.
   *
   * ```ts
   * const [best] = set.score(index.vector("a.jpg")!);
   * ```
   */
  vector(id: string): Float32Array | undefined {
    const row = this.#places.get(id);
    return row === undefined ? undefined : Float32Array.from(this.#rows.unit(row));
  }

  /**
   * Adds items with their vectors, or with their images, which the index's model embeds. All of them or none.
   *
   * ```ts
   * await index.add(["a.jpg", "b.jpg"], [fileA, fileB], { onProgress: (done) => (bar.value = done) });
   * ```
   *
   * @throws {OcelliError} With code `bad-input` if an id is there already, or a vector does not fit; see also `Ocelli.embedImages`.
   */
  async add(
    items: readonly (string | Item<M>)[],
    things: ArrayLike<Vector> | ArrayLike<ImageInput>,
    options: AddOptions = {},
  ): Promise<void> {
    this.#requireLive();
    sameModel("add", this.modelHash, options.modelHash);
    if (!Array.isArray(items)) throw new OcelliError("bad-input", `items: expected an array, found ${typeof items}.`);
    const own = items.map((item: string | Item<M>) => this.#checked(item));
    const all = Array.from<Vector | ImageInput>(things);
    if (all.length !== own.length)
      throw new OcelliError(
        "bad-input",
        `add: expected a vector or an image for each of ${own.length} items, found ${all.length}.`,
      );
    this.#requireNew(own);
    const vectors = all.every(isVector)
      ? all
      : await this.#requireModel("images").embedImages(all as ImageInput[], options);
    const units = vectors.map((vector, i) => unit(vector, this.dim, `vectors[${i}]`));
    // Others may have come while images were embedded.
    this.#requireLive();
    this.#requireNew(own);
    own.forEach((item, i) => {
      this.#places.set(item.id, this.#rows.count);
      this.#items.push(item);
      this.#rows.push(units[i] as Float64Array);
    });
  }

  /** Removes an item; returns false if there was none. */
  remove(id: string): boolean {
    this.#requireLive();
    const row = this.#places.get(id);
    if (row === undefined) return false;
    this.#places.delete(id);
    this.#items[row] = undefined;
    return true;
  }

  /**
   * The items nearest to words, an image or a vector, best first; equal scores in the order in which they were added.
   *
   * ```ts
   * const hits = await index.search(file, { k: 20, minScore: 0.3 });
   * ```
   *
   * @throws {OcelliError} With code `bad-input`; words and images need a model.
   */
  async search(query: string | ImageInput | Vector, options: SearchOptions<M> = {}): Promise<Hit<M>[]> {
    const { k = 10, filter, minScore = -Infinity, modelHash } = options;
    this.#requireLive();
    if (!(k >= 1)) throw new OcelliError("bad-input", `k: expected at least 1, found ${k}.`);
    sameModel("search", this.modelHash, modelHash);
    const wanted = unit(await this.#embedded(query), this.dim, "query");
    return this.#inTurn(async () => {
      const passes = this.#passes(filter);
      const [best] = (await this.#best(passes, [wanted])) ?? [];
      const found = await topK(this.#rows, wanted, passes, Math.floor(k), minScore, best);
      // What was removed meanwhile is no hit.
      return found.flatMap(({ row, score }) => (this.#items[row] ? [{ ...this.#items[row], score }] : []));
    });
  }

  /**
   * Groups of items that resemble each other, in the order in which they were added: within a group, each has a cosine of at least
   * `threshold` to another one. Items that resemble none are left out.
   *
   * ```ts
   * for (const [first, ...copies] of await index.nearDuplicates(0.97)) console.log(first, "again as", copies);
   * ```
   */
  async nearDuplicates(threshold: number): Promise<string[][]> {
    this.#requireLive();
    if (!(threshold > -1 && threshold <= 1))
      throw new OcelliError("bad-input", `threshold: expected a cosine, found ${threshold}.`);
    return this.#inTurn(async () => {
      const passes = this.#passes();
      const live = [...this.#items.keys()].filter((row) => passesRow(passes, row));
      const pause = pauses(this.dim);
      /** For each row one before it that is in its group, or itself; `first` follows, and shortens the way. */
      const before = Uint32Array.from(this.#items.keys());
      const of = (row: number) => before[row] as number;
      const first = (row: number) => {
        while (of(row) !== row) row = before[row] = of(of(row));
        return row;
      };
      for (let at = 0; at < live.length; at += TOGETHER) {
        const some = live.slice(at, at + TOGETHER);
        const queries = some.map((row) => this.#rows.unit(row));
        const best = await this.#best(passes, queries);
        for (const [i, row] of some.entries()) {
          // Each pair once: what comes before has met this row.
          passes[row >>> 5] = (passes[row >>> 5] as number) & ~(1 << (row & 31));
          for (const other of await above(
            this.#rows,
            queries[i] as Float64Array,
            passes,
            threshold,
            best?.[i],
            pause,
          )) {
            const [a, b] = [first(row), first(other.row)];
            before[Math.max(a, b)] = Math.min(a, b);
          }
        }
      }
      const groups = new Map<number, string[]>();
      for (const row of live) {
        const item = this.#items[row];
        const group = groups.get(first(row)) ?? [];
        if (item) group.push(item.id);
        groups.set(first(row), group);
      }
      return [...groups.values()].filter(({ length }) => length > 1);
    });
  }

  /**
   * Keeps the index in this browser (IndexedDB) under a name; what was there under it goes. Only what is new since the last save or
   * load is written.
   *
   * @throws {OcelliError} With code `storage`.
   */
  async save(name: string): Promise<void> {
    this.#requireLive();
    await this.#inTurn(async () => {
      const { dim, format, modelHash } = this;
      this.#saved = await save(name, { dim, format, modelHash, items: [...this.#items] }, this.#rows, this.#saved);
    });
  }

  /**
   * The index as a file.
   * - `safetensors`: tensors `vectors` and `items` (JSON in UTF-8), the model's hash in the metadata.
   * - `jsonl`: a line `{ id, vector, meta, modelHash }` for each item.
   * - `npy`: the vectors alone, in the order of {@link ImageIndex.items}; NumPy's format has no place for the model's hash.
   *
   * Vectors have unit length; those of `int8` are the bytes, up to their length.
   */
  export(kind: IndexFile): Blob {
    this.#requireLive();
    const live = [...this.#items.keys()].filter((row) => this.#items[row]);
    return write(kind, { rows: this.#rows, live, items: this.items(), modelHash: this.modelHash });
  }

  /** Frees the memory on the GPU. The index cannot be used afterwards. */
  dispose(): void {
    this.#disposed = true;
    this.#scan?.dispose();
    this.#scan = undefined;
  }

  #requireLive(): void {
    if (this.#disposed) throw new OcelliError("disposed", "This index was disposed of: make or load it again.");
  }

  #requireModel(what: string): EmbeddingModel {
    if (this.#model) return this.#model;
    throw new OcelliError(
      "bad-input",
      `${what}: expected vectors, because this index has no model: pass one where it is made or loaded.`,
    );
  }

  /** A checked copy of an item, as JSON represents it. */
  #checked(item: string | Item<M>): Item<M> {
    const { id, meta } = typeof item === "string" ? { id: item, meta: undefined } : item;
    if (typeof id !== "string")
      throw new OcelliError("bad-input", `items: expected strings or { id, meta }, found an id of type ${typeof id}.`);
    if (meta === undefined) return { id };
    try {
      return { id, meta: JSON.parse(JSON.stringify(meta)) as M };
    } catch (cause) {
      throw new OcelliError("bad-input", `items: "${id}": expected meta that JSON can say, found ${String(cause)}.`, {
        cause,
      });
    }
  }

  #requireNew(items: Item<M>[]): void {
    const fresh = new Set<string>();
    for (const { id } of items) {
      if (this.#places.has(id) || fresh.has(id))
        throw new OcelliError("bad-input", `items: expected new ids, found "${id}" twice: remove the old one first.`);
      fresh.add(id);
    }
  }

  async #embedded(query: string | ImageInput | Vector): Promise<Vector> {
    if (isVector(query)) return query;
    const model = this.#requireModel("search");
    return typeof query === "string" ? model.embedText(query) : model.embedImage(query);
  }

  /** A bit for each row that there is and that passes the filter. */
  #passes(filter?: (item: Item<M>) => boolean): Uint32Array<ArrayBuffer> {
    const passes = new Uint32Array(passWords(this.#rows.count));
    try {
      this.#items.forEach((item, row) => {
        if (item && (!filter || filter(item))) passes[row >>> 5] = (passes[row >>> 5] as number) | (1 << (row & 31));
      });
    } catch (cause) {
      throw new OcelliError("bad-input", `filter: ${String(cause)}`, { cause });
    }
    return passes;
  }

  /** See {@link Scan.best}; undefined without a GPU. One that went away is asked for again, once. */
  async #best(passes: Uint32Array<ArrayBuffer>, queries: Float64Array[]): Promise<Float32Array[] | undefined> {
    if (passes.length === 0) return undefined;
    for (const more of [true, false]) {
      const scan = this.#scan;
      if (!scan) return undefined;
      try {
        return await scan.best(this.#rows, passes, queries);
      } catch {
        this.#requireLive();
        scan.dispose();
        this.#scan = more ? await request(this.format, this.#options) : undefined;
      }
    }
    return undefined;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      this.#requireLive();
      this.#compact();
      return work();
    });
  }

  /** Closes the gaps of removed rows, if these are more than half. */
  #compact(): void {
    if (this.#rows.count <= 2 * this.size) return;
    const live = [...this.#items.keys()].filter((row) => this.#items[row]);
    this.#rows.keep(live);
    this.#items = this.items();
    this.#items.forEach((item, row) => item && this.#places.set(item.id, row));
  }
}

/** Requests a GPU. A failure counts as no GPU, because the CPU gives the same answers. */
async function request(format: IndexFormat, { backend, maxBufferBytes }: OpenOptions): Promise<Scan | undefined> {
  return backend === "cpu" ? undefined : Scan.request(format, maxBufferBytes).catch(() => undefined);
}

function isVector(thing: unknown): thing is Vector {
  return (
    Array.isArray(thing) || thing instanceof Float32Array || thing instanceof Float64Array || thing instanceof Int8Array
  );
}

function sameModel(what: string, expected: string | undefined, found: string | undefined): void {
  if (expected === undefined || found === undefined || expected === found) return;
  throw new OcelliError(
    "wrong-model",
    `${what}: expected vectors of model ${expected}, found those of model ${found}: embed them again, or keep an index for each model.`,
  );
}
