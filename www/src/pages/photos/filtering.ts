import type { Classification } from "ocelli";
import type { PictureRecord } from "../../state/db.ts";
import { collection } from "../../state/library/collection.ts";
import { remembered, Store } from "../../state/store.ts";
import { tagger } from "./tagger.ts";

/** A photo of the collection with its tags. */
export interface Row {
  path: string;
  /** When it was taken or, where its file does not say, last changed: milliseconds since 1970. */
  date: number;
  tags: readonly Classification[];
  /** Its best tag's score, or that of the tag that is looked at; -1 without. */
  best: number;
}

/** Which photos are shown. */
export interface Filter {
  /** All folders if empty. */
  folder: string;
  /** Those with a label among their tags, or those without any tag. */
  tag: { label: string } | "untagged" | undefined;
  /** Days such as "2024-05-17", both included; empty for no bound. */
  from: string;
  to: string;
}

export const everything: Filter = { folder: "", tag: undefined, from: "", to: "" };

/** Orders of the photos. Those that are equal are ordered by name. */
export const orders = {
  "Newest first": (a, b) => b.date - a.date,
  "Oldest first": (a, b) => a.date - b.date,
  "Name": undefined,
  "Highest score first": (a, b) => b.best - a.best,
  "Lowest score first": (a, b) => a.best - b.best,
} satisfies Record<string, ((a: Row, b: Row) => number) | undefined>;

export type Order = keyof typeof orders;

const order = remembered<Order>("photos.order", "Newest first");

/** When a photo was taken, as far as is known. */
export function dateOf({ taken, modified }: Pick<PictureRecord, "taken" | "modified">): number {
  return taken ?? modified;
}

/** Which photos are shown, and in which order. */
class Filtering extends Store {
  #filter: Filter = everything;
  #names: readonly string[] = [];

  constructor() {
    super();
    collection.addEventListener("change", () => {
      const { folder } = this.#filter;
      if (folder && !collection.hasFolder(folder)) this.only({ folder: "" });
    });
  }

  get filter(): Filter {
    return this.#filter;
  }

  only(filter: Partial<Filter>): void {
    this.#filter = { ...this.#filter, ...filter };
    this.changed();
  }

  get order(): Order {
    const kept = order.get();
    return kept in orders ? kept : "Newest first";
  }

  set order(chosen: Order) {
    order.set(chosen);
    this.changed();
  }

  /** Whether headings by month make sense. */
  get byDate(): boolean {
    return this.order === "Newest first" || this.order === "Oldest first";
  }

  /** Whether a photo passes the filter. */
  passes(path: string): boolean {
    const known = collection.pictures.get(path);
    if (!known || !this.#within(known)) return false;
    const { tag } = this.#filter;
    const tags = tagger.tags(path);
    if (tag === undefined) return true;
    return tag === "untagged" ? tags?.length === 0 : (tags?.some(({ label }) => label === tag.label) ?? false);
  }

  /** The readable photos of the folder and the days, by name, whatever their tags. */
  get candidates(): Row[] {
    this.#names = byName(collection.pictures, this.#names);
    return this.#names.flatMap((path) => {
      const known = collection.pictures.get(path);
      if (!known || known.broken !== undefined || !this.#within(known)) return [];
      const tags = tagger.tags(path) ?? [];
      return [{ path, tags, date: dateOf(known), best: tags[0]?.score ?? -1 }];
    });
  }

  /** Those of them that pass the whole filter, in their order. */
  rows(candidates: readonly Row[]): Row[] {
    const { tag } = this.#filter;
    const rows = candidates
      .filter(({ path }) => this.passes(path))
      .map((row) => (typeof tag === "object" ? { ...row, best: scoreOf(row, tag.label) } : row));
    const compare = orders[this.order];
    return compare ? rows.sort(compare) : rows;
  }

  #within(known: PictureRecord): boolean {
    const { folder, from, to } = this.#filter;
    const date = dateOf(known);
    return (
      (!folder || known.folder === folder) &&
      (!from || date >= new Date(`${from}T00:00`).getTime()) &&
      (!to || date <= new Date(`${to}T23:59:59.999`).getTime())
    );
  }
}

export const filtering = new Filtering();

function scoreOf({ tags }: Row, label: string): number {
  return tags.find((tag) => tag.label === label)?.score ?? -1;
}

const month = new Intl.DateTimeFormat("en", { month: "long", year: "numeric" });

/** "May 2024", for headings. Files whose date nobody knows have the one at which clocks begin. */
export function monthOf(date: number): string {
  return date > 0 ? month.format(date) : "No date";
}

const collator = new Intl.Collator("en", { numeric: true });

/** Paths in the order of their names; comparing names is slow, so they are sorted only if the `last` order lacks some. */
function byName(pictures: ReadonlyMap<string, unknown>, last: readonly string[]): readonly string[] {
  const known = last.filter((path) => pictures.has(path));
  if (known.length === pictures.size) return known;
  const ordered = new Set(known);
  return [...known, ...[...pictures.keys()].filter((path) => !ordered.has(path))].sort(collator.compare);
}
