import { OcelliError } from "../error.js";
import type { LabelText } from "../labels/cache.js";
import { KeptSets } from "../labels/kept-sets.js";
import { requireNames } from "../labels/label-set.js";
import { LabelTexts, templatesOf } from "../labels/texts.js";
import type { Model } from "../model.js";
import { joined } from "../vectors.js";
import type { Asker } from "./detector-scene.js";
import { rowsOf, type SceneData } from "./plain.js";
import { QuerySet, readQueries, type Queries } from "./query-set.js";
import { sceneOf } from "./scene-of.js";
import type {
  Box,
  Detection,
  DetectOptions,
  ImageQuery,
  NegativeQuery,
  ObjectOptions,
  Proposal,
  Query,
  QueryOptions,
  TextQuery,
} from "./types.js";
import { requireShare, wantedOf } from "./wanted.js";

/** Asks a detector; all of it, but {@link Questions.ask} and {@link Questions.objects}, in calls of the model's. */
export class Questions implements Asker {
  readonly #texts: LabelTexts;
  readonly #kept = new KeptSets<QuerySet>();

  constructor(private readonly model: Model) {
    this.#texts = new LabelTexts(model, { mean: "plain", cut: true });
  }

  /** A set for its caller alone. */
  async make(queries: readonly Query[], options: QueryOptions): Promise<QuerySet> {
    return QuerySet.make(this.model, await this.#queries(queries, options));
  }

  async load(file: Blob): Promise<QuerySet> {
    return QuerySet.make(this.model, await readQueries(file, this.model.info));
  }

  ask(data: SceneData, what: QuerySet | readonly string[], options: DetectOptions): Promise<Detection[]> {
    return this.model.call(options, () => this.detect(async () => data, what, options));
  }

  objects(data: SceneData, options: ObjectOptions): Promise<Proposal[]> {
    return this.model.call(options, async (core) => {
      const { threshold = 0, ...how } = options;
      const wanted = wantedOf({ ...how, threshold }, new Int32Array(), new Float64Array());
      return rowsOf(await core.objects(data, wanted)).map(({ index: _, ...proposal }) => proposal);
    });
  }

  /** With a set; or with labels, whose set is kept for the next call. `look` comes when the queries are known to be sound. */
  async detect(
    look: () => Promise<SceneData>,
    what: QuerySet | readonly string[],
    options: DetectOptions,
  ): Promise<Detection[]> {
    // Nothing is computed for what will be refused.
    wantedOf(options, new Int32Array(), new Float64Array());
    if (what instanceof QuerySet) return what.find(this.model, look, options);
    requireNames(what);
    const { signal, templates, template, cache } = options;
    const how = { ...(templates !== undefined && { templates }), ...(template !== undefined && { template }) };
    const key = JSON.stringify([templates, template, what]);
    const making = this.#kept.keep(key, (stop) =>
      this.make([...what], { ...how, ...(cache !== undefined && { cache }), signal: stop }),
    );
    const set = await making.wait(signal, "call");
    // Begun before anything else gets a turn, so that the set stays until this has ended.
    return set.find(this.model, look, options);
  }

  dispose(): void {
    this.#kept.dispose();
  }

  async #queries(given: readonly Query[], options: QueryOptions): Promise<Queries> {
    requireQueries(given);
    const templates = templatesOf(options);
    const queries = given.map((query): Exclude<Query, string> =>
      typeof query === "string" ? { label: query, text: query } : query,
    );
    const labels = [...new Set(queries.flatMap((query) => ("label" in query ? [query.label] : [])))];
    const thresholds = thresholdsOf(labels, options.thresholds ?? {});
    const texts = queries.flatMap((query) => ("text" in query ? [query.text] : []));
    const { cache = true, signal } = options;
    const words = texts.length > 0 ? await this.#texts.embed(texts, templates, cache, signal) : [];
    const vectors: Float32Array[] = [];
    const cut = new Set<string>();
    for (const query of queries) {
      if (!("text" in query)) {
        vectors.push(await this.#example(query, signal));
        continue;
      }
      const text = words.shift() as LabelText;
      vectors.push(text.embedding);
      if (text.cut) cut.add(query.label);
    }
    return {
      labels,
      cut: labels.filter((label) => cut.has(label)),
      thresholds,
      owners: Int32Array.from(queries, (query) => ("label" in query ? labels.indexOf(query.label) : -1)),
      vectors: joined(vectors, this.model.info.embeddingDim),
    };
  }

  async #example({ image, box }: ImageQuery | NegativeQuery, signal: AbortSignal | undefined): Promise<Float32Array> {
    const { core } = this.model;
    const edges = box && Float64Array.of(box.x, box.y, box.x + box.width, box.y + box.height);
    return core.example(await sceneOf(core, image, signal), edges);
  }
}

/** @throws {OcelliError} With code `bad-input` for what are no queries. */
function requireQueries(given: unknown): asserts given is readonly Query[] {
  if (!Array.isArray(given) || given.length === 0) {
    const found = Array.isArray(given) ? "none" : typeof given;
    throw new OcelliError("bad-input", `queries: expected an array of at least one label or example, found ${found}.`);
  }
  given.forEach((query: unknown, i) => {
    const why = wrong(query);
    if (why) throw new OcelliError("bad-input", `queries[${i}]: ${why}.`);
  });
  if (given.every((query: unknown) => typeof query === "object" && (query as { negative?: unknown }).negative))
    throw new OcelliError("bad-input", "queries: expected one that is not negative, found none.");
}

/** What is wrong with a query, if anything is. */
function wrong(query: unknown): string | undefined {
  if (typeof query === "string") return query === "" ? "expected a label, found an empty one" : undefined;
  if (typeof query !== "object" || query === null) return `expected a label or an example, found ${String(query)}`;
  const { label, text, image, box, negative } = query as Partial<TextQuery & ImageQuery & NegativeQuery>;
  if (negative !== undefined && negative !== true) return "negative: expected true or nothing";
  if ((typeof label === "string" && label !== "") === (negative === true))
    return negative ? "expected no label with negative, found one" : "label: expected a string that is not empty";
  if ((text === undefined) === (image === undefined)) return "expected either text or image, found both or none";
  if (text !== undefined && (typeof text !== "string" || text === "" || negative))
    return "text: expected a string that is not empty, and an image for what is not meant";
  return box === undefined ? undefined : wrongBox(box);
}

function wrongBox(box: Partial<Box> | null): string | undefined {
  const numbers = [box?.x, box?.y, box?.width, box?.height];
  const sound = numbers.every((number) => typeof number === "number" && Number.isFinite(number));
  return sound ? undefined : `box: expected { x, y, width, height } in pixels, found ${JSON.stringify(box)}`;
}

/** In the order of the labels. */
function thresholdsOf(labels: string[], given: Record<string, number>): Float64Array {
  for (const [label, own] of Object.entries(given)) {
    if (!labels.includes(label))
      throw new OcelliError("bad-input", `thresholds: expected labels of this set, found ${JSON.stringify(label)}.`);
    requireShare(`thresholds: ${label}`, own);
  }
  return Float64Array.from(labels, (label) => given[label] ?? NaN);
}
