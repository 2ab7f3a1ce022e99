import { embedTexts } from "../embed-texts.js";
import { OcelliError } from "../error.js";
import type { Model } from "../model.js";
import { abortable, Shared } from "../shared.js";
import { Turns } from "../turns.js";
import type { LabelOptions } from "../types.js";
import { meanOf, rowsOf, unitSum } from "../vectors.js";
import { readLabels, writeLabels } from "./cache.js";

/** Labels whose embeddings are kept for each set of templates; beyond this the oldest go. */
const MOST_LABELS = 4096;

/** Sets of templates of which labels are kept in memory. */
const MOST_SETS = 16;

/** Texts that are asked for at once: of many labels in many templates only the means are kept. */
const AT_ONCE = 512;

/** Embeddings of labels: from memory, from the browser's cache, and from the text tower what neither has. */
export class LabelTexts {
  /** By model and templates. */
  readonly #sets = new Map<string, KnownLabels>();

  /** `mean` says what several templates come to: their mean, or that of unit length again. */
  constructor(
    private readonly model: Model,
    private readonly mean: "unit" | "plain",
  ) {}

  /**
   * Each label's embedding: the mean over the templates of its text's embeddings. CLIP's are of unit length, and so is their mean
   * again (Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, section 3.1.4); the plain mean
   * of a detector's queries gives the mean of their logits.
   */
  async embed(
    labels: string[],
    templates: string[],
    cache: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    const known = this.#known(templates);
    if (cache) await abortable(signal, known.read(), "call");
    const missing = [...new Set(labels)].filter((label) => !known.has(label));
    if (missing.length > 0) this.#ask(missing, templates, known);
    // Taken before others let them go.
    const entries = labels.map((label) => known.get(label));
    known.trim(Math.max(MOST_LABELS, labels.length));
    // All that is being made for this call, by it or by others, goes on for as long as this call waits.
    const leave = [...new Set(entries.map(({ work }) => work))].map((work) => work?.join());
    try {
      const rows = await abortable(signal, Promise.all(entries.map(({ embedding }) => embedding)), "call");
      if (cache && missing.length > 0) await known.write();
      return rows;
    } finally {
      for (const end of leave) end?.();
    }
  }

  #known(templates: string[]): KnownLabels {
    const { modelHash, format, tier, tierCost, embeddingDim } = this.model.info;
    // Tiers that cost nothing differ in the last bits only.
    const rounding = tierCost > 0 ? tier : "f32";
    const key = JSON.stringify([modelHash, format, rounding, templates, ...(this.mean === "plain" ? ["mean"] : [])]);
    const known = this.#sets.get(key) ?? new KnownLabels(key, embeddingDim);
    // The last one used is the last to go.
    this.#sets.delete(key);
    this.#sets.set(key, known);
    for (const old of this.#sets.keys()) {
      if (this.#sets.size <= MOST_SETS) break;
      this.#sets.delete(old);
    }
    return known;
  }

  /** Has the text tower make embeddings, some labels after the other. If it fails, so do those that would come later. */
  #ask(labels: string[], templates: string[], known: KnownLabels): void {
    const step = Math.max(1, Math.floor(AT_ONCE / templates.length));
    const parts = Array.from({ length: Math.ceil(labels.length / step) }, (_, i) =>
      labels.slice(i * step, (i + 1) * step),
    );
    let rows: Promise<Float32Array[]>[] = [];
    const work = new Shared(async (signal) => {
      let before: Promise<unknown> = Promise.resolve();
      rows = parts.map((some) => {
        const own = before.then(() => this.#means(some, templates, signal));
        before = own;
        return own;
      });
      await before;
    });
    parts.forEach((some, part) => {
      some.forEach((label, i) => {
        const embedding = (rows[part] as Promise<Float32Array[]>).then((made) => made[i] as Float32Array);
        known.add(label, { embedding, work });
      });
    });
  }

  async #means(labels: string[], templates: string[], signal: AbortSignal): Promise<Float32Array[]> {
    const { towers, embeddingDim } = this.model.info;
    if (towers === "vision") throw withoutTower(labels);
    const texts = labels.flatMap((label) => templates.map((template) => fill(template, label)));
    const rows = rowsOf(await embedTexts(this.model.core, texts, signal), embeddingDim);
    return labels.map((_, i) => {
      const own = rows.slice(i * templates.length, (i + 1) * templates.length);
      if (own.length === 1) return (own[0] as Float32Array).slice();
      return this.mean === "unit" ? unitSum(own.map((row) => [1, row])) : meanOf(own);
    });
  }
}

/** A label's embedding, and the work that makes it if one does. */
interface Entry {
  embedding: Promise<Float32Array>;
  work: Shared<void> | undefined;
}

/** Labels' embeddings of one model in one set of templates: those that are here, and those that are being made. */
class KnownLabels {
  readonly #embeddings = new Map<string, Entry>();
  /** Those that are here. */
  readonly #rows = new Map<string, Float32Array>();
  #reading: Promise<void> | undefined;
  readonly #writing = new Turns();
  /** A write that has not begun. */
  #next: Promise<void> | undefined;

  constructor(
    private readonly key: string,
    private readonly dim: number,
  ) {}

  has(label: string): boolean {
    const entry = this.#embeddings.get(label);
    return entry !== undefined && (this.#rows.has(label) || !entry.work?.stopped);
  }

  /** The embedding of a label that is known. */
  get(label: string): Entry {
    return this.#embeddings.get(label) as Entry;
  }

  /** Whoever asks for the label from now on gets this embedding. If it cannot be made, the next one to ask tries again. */
  add(label: string, entry: Entry): void {
    this.#embeddings.set(label, entry);
    const current = () => this.#embeddings.get(label) === entry;
    entry.embedding.then(
      (row) => current() && this.#rows.set(label, row),
      () => current() && this.#embeddings.delete(label),
    );
  }

  /** Lets go of the oldest labels, until so many are left. */
  trim(most: number): void {
    for (const label of this.#embeddings.keys()) {
      if (this.#embeddings.size <= most) break;
      this.#embeddings.delete(label);
      this.#rows.delete(label);
    }
  }

  /** Takes over what the browser's cache has, once. */
  read(): Promise<void> {
    return (this.#reading ??= readLabels(this.key, this.dim).then((rows) => {
      for (const [label, row] of rows)
        if (!this.has(label)) this.add(label, { embedding: Promise.resolve(row), work: undefined });
    }));
  }

  /** Puts what is here into the browser's cache. */
  write(): Promise<void> {
    return (this.#next ??= this.#writing.take(() => {
      this.#next = undefined;
      return writeLabels(this.key, this.#rows, this.dim);
    }));
  }
}

function withoutTower(labels: string[]): OcelliError {
  const [first, ...others] = labels.map((label) => JSON.stringify(label));
  const what = others.length > 0 ? `none of ${first} and ${others.length} more` : `none of ${first}`;
  return new OcelliError(
    "bad-input",
    "This model was loaded without its text tower: expected all embeddings of texts in the cache of an earlier visit, " +
      `found ${what}: load it with "both" once.`,
  );
}

const fill = (template: string, label: string) => template.replaceAll("{}", () => label);

/** @throws {OcelliError} With code `bad-input` for what are no templates. */
export function templatesOf({ template, templates }: LabelOptions): string[] {
  if (template !== undefined && templates !== undefined) {
    throw new OcelliError("bad-input", "template: expected either template or templates, found both.");
  }
  const given: unknown = templates ?? template ?? "{}";
  const all: unknown[] = Array.isArray(given) ? [...given] : [given];
  const wrong = all.findIndex((text) => typeof text !== "string" || !text.includes("{}"));
  if (all.length === 0 || wrong >= 0) {
    throw new OcelliError(
      "bad-input",
      `template: expected {} where the label goes, found ${all.length === 0 ? "none" : JSON.stringify(all[wrong])}.`,
    );
  }
  return all as string[];
}
