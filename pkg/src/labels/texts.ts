import { OcelliError } from "../error.js";
import type { Model } from "../model.js";
import { Turns } from "../turns.js";
import type { LabelOptions } from "../types.js";
import { rowsOf, unitSum } from "../vectors.js";
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

  constructor(private readonly model: Model) {}

  /**
   * Each label's embedding: the mean over the templates of its text's unit embeddings, of unit length again (Radford et al.,
   * Learning Transferable Visual Models From Natural Language Supervision, 2021, section 3.1.4).
   */
  async embed(labels: string[], templates: string[], cache: boolean): Promise<Float32Array[]> {
    const known = this.#known(templates);
    if (cache) await known.read();
    const missing = [...new Set(labels)].filter((label) => !known.has(label));
    this.#ask(missing, templates).forEach((embedding, i) => known.add(missing[i] as string, embedding));
    // Taken before others let them go.
    const embeddings = labels.map((label) => known.get(label));
    known.trim(Math.max(MOST_LABELS, labels.length));
    const rows = await Promise.all(embeddings);
    if (cache && missing.length > 0) await known.write();
    return rows;
  }

  #known(templates: string[]): KnownLabels {
    const { modelHash, format, tier, tierCost, embeddingDim } = this.model.info;
    // Tiers that cost nothing differ in the last bits only.
    const rounding = tierCost > 0 ? tier : "f32";
    const key = JSON.stringify([modelHash, format, rounding, templates]);
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

  /** Embeddings that the text tower makes, some labels after the other. If it fails, so do those that would come later. */
  #ask(labels: string[], templates: string[]): Promise<Float32Array>[] {
    const step = Math.max(1, Math.floor(AT_ONCE / templates.length));
    let before: Promise<unknown> = Promise.resolve();
    return Array.from({ length: Math.ceil(labels.length / step) }, (_, i) => {
      const some = labels.slice(i * step, (i + 1) * step);
      const rows = before.then(() => this.#means(some, templates));
      before = rows;
      return some.map(async (_, i) => (await rows)[i] as Float32Array);
    }).flat();
  }

  async #means(labels: string[], templates: string[]): Promise<Float32Array[]> {
    const { towers, embeddingDim } = this.model.info;
    if (towers === "vision") throw withoutTower(labels);
    const texts = labels.flatMap((label) => templates.map((template) => fill(template, label)));
    const rows = rowsOf(await this.model.core.embedTexts(texts), embeddingDim);
    return labels.map((_, i) => {
      const own = rows.slice(i * templates.length, (i + 1) * templates.length);
      return own.length === 1 ? (own[0] as Float32Array).slice() : unitSum(own.map((row) => [1, row]));
    });
  }
}

/** Labels' embeddings of one model in one set of templates: those that are here, and those that are being made. */
class KnownLabels {
  readonly #embeddings = new Map<string, Promise<Float32Array>>();
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
    return this.#embeddings.has(label);
  }

  /** The embedding of a label that is known. */
  get(label: string): Promise<Float32Array> {
    return this.#embeddings.get(label) as Promise<Float32Array>;
  }

  /** Whoever asks for the label from now on gets this embedding. If it cannot be made, the next one to ask tries again. */
  add(label: string, embedding: Promise<Float32Array>): void {
    this.#embeddings.set(label, embedding);
    const current = () => this.#embeddings.get(label) === embedding;
    embedding.then(
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
      for (const [label, row] of rows) if (!this.has(label)) this.add(label, Promise.resolve(row));
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
    `labels: this model was loaded without its text tower: expected all embeddings in the cache of an earlier visit, found ${what}: load it with "both" once.`,
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
