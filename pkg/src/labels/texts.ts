import { embedTexts } from "../embed-texts.js";
import { OcelliError } from "../error.js";
import type { Model } from "../model.js";
import { abortable, Shared } from "../shared.js";
import { Turns } from "../turns.js";
import type { LabelOptions } from "../types.js";
import { meanOf, rowsOf, unitSum } from "../vectors.js";
import { readLabels, writeLabels, type LabelText } from "./cache.js";

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

  /**
   * `mean` says what several templates come to: their mean, or that of unit length again; `cut`, whether anybody wants to know which texts
   * are cut.
   */
  constructor(
    private readonly model: Model,
    private readonly rule: { mean: "unit" | "plain"; cut: boolean },
  ) {}

  /**
   * Each label with its embedding: the mean over the templates of its text's embeddings. CLIP's are of unit length, and so is their mean
   * again (Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, section 3.1.4); the plain mean
   * of a detector's queries gives the mean of their logits.
   */
  async embed(
    labels: string[],
    templates: string[],
    cache: boolean,
    signal: AbortSignal | undefined,
  ): Promise<LabelText[]> {
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
      const rows = await abortable(signal, Promise.all(entries.map(({ text }) => text)), "call");
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
    const mean = this.rule.mean === "plain" ? ["mean"] : [];
    const key = JSON.stringify([modelHash, format, rounding, templates, ...mean]);
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
    let rows: Promise<LabelText[]>[] = [];
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
        const text = (rows[part] as Promise<LabelText[]>).then((made) => made[i] as LabelText);
        known.add(label, { text, work });
      });
    });
  }

  async #means(labels: string[], templates: string[], signal: AbortSignal): Promise<LabelText[]> {
    const { towers, embeddingDim } = this.model.info;
    if (towers === "vision") throw withoutTower(labels);
    const texts = labels.flatMap((label) => templates.map((template) => fill(template, label)));
    const rows = rowsOf(await embedTexts(this.model.core, texts, signal), embeddingDim);
    const cuts = this.rule.cut ? await this.model.core.cuts(texts) : [];
    return labels.map((_, i) => {
      const [first, end] = [i * templates.length, (i + 1) * templates.length];
      return { embedding: this.#mean(rows.slice(first, end)), cut: cuts.slice(first, end).includes(true) };
    });
  }

  #mean(rows: Float32Array[]): Float32Array {
    if (rows.length === 1) return (rows[0] as Float32Array).slice();
    return this.rule.mean === "unit" ? unitSum(rows.map((row) => [1, row])) : meanOf(rows);
  }
}

/** A label, and the work that makes it if one does. */
interface Entry {
  text: Promise<LabelText>;
  work: Shared<void> | undefined;
}

/** Labels of one model in one set of templates: those that are here, and those that are being made. */
class KnownLabels {
  readonly #embeddings = new Map<string, Entry>();
  /** Those that are here. */
  readonly #rows = new Map<string, LabelText>();
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

  /** A label that is known. */
  get(label: string): Entry {
    return this.#embeddings.get(label) as Entry;
  }

  /** Whoever asks for the label from now on gets this one. If it cannot be made, the next one to ask tries again. */
  add(label: string, entry: Entry): void {
    this.#embeddings.set(label, entry);
    const current = () => this.#embeddings.get(label) === entry;
    entry.text.then(
      (text) => current() && this.#rows.set(label, text),
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
      for (const [label, text] of rows)
        if (!this.has(label)) this.add(label, { text: Promise.resolve(text), work: undefined });
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
