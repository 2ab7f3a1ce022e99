import { Ocelli, type Format, type ModelInfo, type ModelSource, type Progress } from "ocelli";
import type { Segmenter } from "ocelli/segment";
import type { Vlm } from "ocelli/vlm";
import { loadFinder, type Finder } from "./finder.ts";
import { remembered, Store } from "./store.ts";

/** What the app has models for. */
export const tasks = ["label", "find", "cut", "ask"] as const;
export type Task = (typeof tasks)[number];

/** The address of a model, typed or given by ?model=, cannot be used. */
export class AddressError extends Error {
  readonly code = "bad-address";
}

/** A model as the user chose it. */
export interface Choice {
  task: Task;
  /** An absolute address, or `hf:owner/name`; or files of the user's own, which only this visit knows. */
  source: ModelSource;
  name: string;
  format?: Format | undefined;
}

/** The model that comes with the app. */
export const builtIn: Choice = {
  task: "label",
  source: new URL("models/ocelli-tiny/", document.baseURI).href,
  name: "Ocelli tiny",
};

/** A load that is under way. */
export interface Loading {
  choice: Choice;
  progress: Progress | undefined;
  /** Where on a page it was asked for, and where its progress and its failure are shown; undefined for the top of all pages. */
  place: string | undefined;
}

/** Hashes of the models that have run here, by source: embeddings are kept under them. */
const hashes = remembered<Record<string, string>>("hashes", {});

/** The formats in which they are kept here, by source, where one was asked for. */
const formats = remembered<Record<string, Format | undefined>>("formats", {});

/** What the models of all tasks have. */
export interface Loadable {
  readonly info: ModelInfo;
  on(event: "devicelost" | "restored", listener: () => void): () => void;
  dispose(): void;
}

interface Options {
  worker: true;
  onProgress: (progress: Progress) => void;
  signal: AbortSignal;
  format?: Format;
}

/** The model in use for a task, for all pages. It runs in a worker, so that none of them ever waits. */
export class Models<M extends Loadable> extends Store {
  /** The model in use. It stays in use until the next one is loaded. */
  model: M | undefined;
  choice: Choice | undefined;
  loading: Loading | undefined;
  /** Why the last load failed. */
  failed: { choice: Choice; error: unknown; place: string | undefined } | undefined;
  /** Whether the GPU was lost. The next call loads the model again. */
  lost = false;
  #stop: AbortController | undefined;
  readonly #last: { get(): Omit<Choice, "task"> | null; set(value: Omit<Choice, "task">): void };

  /** @param fetchModel Loads a model of this task; its code comes with the first one. */
  constructor(
    readonly task: Task,
    private readonly fetchModel: (source: ModelSource, options: Options) => Promise<M>,
  ) {
    super();
    this.#last = remembered<Omit<Choice, "task"> | null>(task === "label" ? "model" : `model.${task}`, null);
  }

  get info(): ModelInfo | undefined {
    return this.model?.info;
  }

  /** Whether the model in use, or the first one that is on its way, is the app's own. */
  get isBuiltIn(): boolean {
    return (this.choice ?? this.loading?.choice)?.source === builtIn.source;
  }

  /** What was used last, in this visit or an earlier one. */
  get last(): Choice | undefined {
    const last = this.#last.get();
    return last ? { ...last, task: this.task } : undefined;
  }

  /** The hash of a model that has run here before. */
  hashOf(source: ModelSource): string | undefined {
    return typeof source === "string" ? hashes.get()[source] : undefined;
  }

  /** The format in which a model was loaded here last; undefined if it was not, or as it is stored. */
  formatOf(source: ModelSource): Format | undefined {
    return typeof source === "string" ? formats.get()[source] : undefined;
  }

  /** Loads a model beside the one in use, which is disposed of when the new one is ready. A newer load ends this one. */
  async load(choice: Choice, place?: string): Promise<void> {
    this.#stop?.abort();
    const mine = (this.#stop = new AbortController());
    this.loading = { choice, progress: undefined, place };
    this.failed = undefined;
    this.changed();
    const onProgress = (progress: Progress) => {
      if (this.#stop !== mine) return;
      this.loading = { choice, progress, place };
      this.changed();
    };
    try {
      const { source, format } = choice;
      const model = await this.fetchModel(source, {
        worker: true,
        onProgress,
        signal: mine.signal,
        ...(format && { format }),
      });
      if (this.#stop !== mine) return model.dispose();
      this.#take(model, choice);
    } catch (error) {
      if (this.#stop !== mine) return; // another load has taken over, or the user has had enough
      this.failed = { choice, error, place };
    }
    this.#stop = undefined;
    this.loading = undefined;
    this.changed();
  }

  /** Ends a load; the model in use stays. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.loading = undefined;
    this.changed();
  }

  /** Frees the memory of the model in use. What was downloaded of it stays. */
  unload(): void {
    this.model?.dispose();
    this.model = this.choice = undefined;
    this.lost = false;
    this.changed();
  }

  /** Says that a load could not begin. */
  refuse(choice: Choice, error: unknown): void {
    this.failed = { choice, error, place: undefined };
    this.changed();
  }

  #take(model: M, choice: Choice): void {
    const before = this.model;
    const lost = (is: boolean) => () => {
      if (this.model !== model) return;
      this.lost = is;
      this.changed();
    };
    model.on("devicelost", lost(true));
    model.on("restored", lost(false));
    this.model = model;
    this.choice = choice;
    this.lost = false;
    const { source, name, format } = choice;
    if (typeof source === "string") {
      this.#last.set({ source, name, ...(format && { format }) });
      hashes.set({ ...hashes.get(), [source]: model.info.modelHash });
      formats.set({ ...formats.get(), [source]: format });
    }
    // After the calls that are under way.
    before?.dispose();
  }
}

/** The model that labels, tags and searches. */
export const models = new Models<Ocelli>("label", (source, options) => Ocelli.load(source, options));

/** The model that finds things. */
export const detectors = new Models<Finder>("find", loadFinder);

/** The model that cuts things out. */
export const segmenters = new Models<Segmenter>("cut", async (source, options) =>
  (await import("ocelli/segment")).Segmenter.load(source, options),
);

/** The model that writes about images. */
export const writers = new Models<Vlm>("ask", async (source, options) =>
  (await import("ocelli/vlm")).Vlm.load(source, options),
);

/** The models in use by task. */
export const modelsOf = { label: models, find: detectors, cut: segmenters, ask: writers } as const;

/** Loads the model of the address, else the one that was used last, else the app's own. */
export function startModels(): void {
  const asked = new URLSearchParams(location.search);
  const typed = asked.get("model");
  try {
    void models.load(typed ? chosen(typed, asked.get("format")) : (models.last ?? builtIn));
  } catch (error) {
    models.refuse(builtIn, error);
  }
}

/**
 * The model that was typed: `owner/name` or `hf:owner/name`, a model's page on huggingface.co, or a folder's address, made absolute. An
 * address without a scheme counts as one if it begins with a dot or a slash, or ends with a slash.
 *
 * @throws {AddressError} If it is none of these.
 */
export function chosen(typed: string, format: string | null, task: Task = "label"): Choice {
  const source = sourceOf(typed.trim());
  const name = source.startsWith("hf:")
    ? source.slice("hf:".length)
    : (source.split("/").filter(Boolean).at(-1) ?? source);
  return { task, source, name, format: formatNamed(format) };
}

function sourceOf(typed: string): string {
  if (!typed) throw new AddressError("Enter the address of a model first.");
  if (typed.startsWith("hf:")) return typed;
  if (/^\w[\w.-]*\/[\w.-]+$/.test(typed)) return `hf:${typed}`;
  if (!/^(https?:\/\/|\.{0,2}\/|[^\s:]+\/$)/i.test(typed) || !URL.canParse(typed, document.baseURI))
    throw new AddressError(
      `“${typed}” is not an address. Enter owner/name of a model on Hugging Face, or an address that starts with https://.`,
    );
  const url = new URL(typed, document.baseURI);
  if (url.hostname === "huggingface.co") {
    const [owner, name, kind, revision, ...rest] = url.pathname.split("/").filter(Boolean);
    if (owner && name && kind === undefined) return `hf:${owner}/${name}`;
    if (owner && name && (kind === "tree" || kind === "blob")) {
      const folder = kind === "blob" ? rest.slice(0, -1) : rest;
      url.pathname = [owner, name, "resolve", revision ?? "main", ...folder].join("/");
    }
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

/** The weights' format by its name in a form or in the address; unknown names are left to the package's default. */
function formatNamed(name: string | null): Format | undefined {
  return name === "none" || name === "f16" || name === "q8" || name === "q4" ? name : undefined;
}
