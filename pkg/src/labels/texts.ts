import { OcelliError } from "../error.js";
import { readLabels, writeLabels } from "./cache.js";
import type { Scorer } from "./content.js";
import type { LabelOptions } from "../types.js";
import { rowsOf, unitSum } from "../vectors.js";

/** Labels whose embeddings are kept for each set of templates; beyond this the oldest go. */
const MOST_LABELS = 4096;

/** Sets of templates of which labels are kept in memory. */
const MOST_SETS = 16;

/** Texts that are asked for at once: of many labels in many templates only the means are kept. */
const AT_ONCE = 512;

interface Known {
  labels: Map<string, Float32Array>;
  /** What the browser's cache has of them is here. */
  read: boolean;
}

/** Embeddings of labels: from memory, from the browser's cache, and from the text tower what neither has. */
export class LabelTexts {
  readonly #sets = new Map<string, Known>();

  constructor(private readonly scorer: Scorer) {}

  /**
   * Each label's embedding: the mean over the templates of its text's unit embeddings, of unit length again (Radford et al.,
   * Learning Transferable Visual Models From Natural Language Supervision, 2021, section 3.1.4).
   */
  async embed(labels: string[], templates: string[], cache: boolean): Promise<Float32Array[]> {
    const { modelHash, format, tier, embeddingDim } = this.scorer.info;
    // The other tiers differ in the last bits only.
    const rounding = tier === "half" || tier === "dot8" ? tier : "f32";
    const key = JSON.stringify([modelHash, format, rounding, templates]);
    const { labels: known } = await this.#known(key, cache);
    // Taken before others may let them go.
    const found = new Map(
      labels.flatMap((label) => (known.has(label) ? [[label, known.get(label) as Float32Array]] : [])),
    );
    const missing = [...new Set(labels)].filter((label) => !found.has(label));
    if (missing.length > 0) {
      const fresh = await this.#ask(missing, templates);
      missing.forEach((label, i) => found.set(label, fresh[i] as Float32Array));
    }
    for (const [label, row] of found) known.set(label, row);
    for (const label of known.keys()) {
      if (known.size <= Math.max(MOST_LABELS, labels.length)) break;
      known.delete(label);
    }
    if (cache && missing.length > 0) await writeLabels(key, known, embeddingDim);
    return labels.map((label) => found.get(label) as Float32Array);
  }

  async #known(key: string, cache: boolean): Promise<Known> {
    const known = this.#sets.get(key) ?? { labels: new Map(), read: false };
    // The last one used is the last to go.
    this.#sets.delete(key);
    this.#sets.set(key, known);
    for (const old of this.#sets.keys()) {
      if (this.#sets.size <= MOST_SETS) break;
      this.#sets.delete(old);
    }
    if (cache && !known.read) {
      for (const [label, row] of await readLabels(key, this.scorer.info.embeddingDim)) known.labels.set(label, row);
      known.read = true;
    }
    return known;
  }

  async #ask(labels: string[], templates: string[]): Promise<Float32Array[]> {
    const { towers, embeddingDim } = this.scorer.info;
    if (towers === "vision") {
      const [first, ...others] = labels.map((label) => JSON.stringify(label));
      const what = others.length > 0 ? `none of ${first} and ${others.length} more` : `none of ${first}`;
      throw new OcelliError(
        "bad-input",
        `labels: this model was loaded without its text tower: expected all embeddings in the cache of an earlier visit, found ${what}: load it with "both" once.`,
      );
    }
    const step = Math.max(1, Math.floor(AT_ONCE / templates.length));
    const means: Float32Array[] = [];
    for (let at = 0; at < labels.length; at += step) {
      const texts = labels.slice(at, at + step).flatMap((label) => templates.map((template) => fill(template, label)));
      const rows = rowsOf(await this.scorer.embedTexts(texts), embeddingDim);
      while (rows.length > 0) {
        const own = rows.splice(0, templates.length);
        means.push(own.length === 1 ? (own[0] as Float32Array).slice() : unitSum(own.map((row) => [1, row])));
      }
    }
    return means;
  }
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
