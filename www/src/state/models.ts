import { Ocelli, type Format, type ModelInfo, type ModelSource, type Progress } from "ocelli";
import { remembered, Store } from "./store.ts";

/** The address of a model, typed or given by ?model=, cannot be used. */
export class AddressError extends Error {
  readonly code = "bad-address";
}

/** A model as the user chose it. */
export interface Choice {
  /** An absolute address, or `hf:owner/name`; or files of the user's own, which only this visit knows. */
  source: ModelSource;
  name: string;
  format?: Format | undefined;
}

/** The model that comes with the app. */
export const builtIn: Choice = { source: new URL("models/ocelli-tiny/", document.baseURI).href, name: "Ocelli tiny" };

/** A load that is under way. */
export interface Loading {
  choice: Choice;
  progress: Progress | undefined;
  /** Where on a page it was asked for, and where its progress and its failure are shown; undefined for the top of all pages. */
  place: string | undefined;
}

/** Hashes of the models that have run here, by source: embeddings are kept under them. */
const hashes = remembered<Record<string, string>>("hashes", {});

const last = remembered<{ source: string; name: string; format?: Format } | null>("model", null);

/** The model in use, for all pages. It runs in a worker, so that none of them ever waits. */
class Models extends Store {
  /** The model in use. It stays in use until the next one is loaded. */
  model: Ocelli | undefined;
  choice: Choice | undefined;
  loading: Loading | undefined;
  /** Why the last load failed. */
  failed: { choice: Choice; error: unknown; place: string | undefined } | undefined;
  /** Whether the GPU was lost. The next call loads the model again. */
  lost = false;
  #stop: AbortController | undefined;

  get info(): ModelInfo | undefined {
    return this.model?.info;
  }

  /** Whether the model in use is the app's own. */
  get isBuiltIn(): boolean {
    return this.choice?.source === builtIn.source;
  }

  /** The hash of a model that has run here before. */
  hashOf(source: ModelSource): string | undefined {
    return typeof source === "string" ? hashes.get()[source] : undefined;
  }

  /** Loads the model of the address, else the one that was used last, else the app's own. */
  start(): void {
    const asked = new URLSearchParams(location.search);
    const typed = asked.get("model");
    try {
      void this.load(typed ? chosen(typed, asked.get("format")) : (last.get() ?? builtIn));
    } catch (error) {
      this.failed = { choice: builtIn, error, place: undefined };
      this.changed();
    }
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
      const model = await Ocelli.load(source, {
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

  #take(model: Ocelli, choice: Choice): void {
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
      last.set({ source, name, ...(format && { format }) });
      hashes.set({ ...hashes.get(), [source]: model.info.modelHash });
    }
    // After the calls that are under way.
    before?.dispose();
  }
}

export const models = new Models();

/**
 * The model that was typed: `owner/name` or `hf:owner/name`, a model's page on huggingface.co, or a folder's address, made absolute. An
 * address without a scheme counts as one if it begins with a dot or a slash, or ends with a slash.
 *
 * @throws {AddressError} If it is none of these.
 */
export function chosen(typed: string, format: string | null): Choice {
  const source = sourceOf(typed.trim());
  const name = source.startsWith("hf:")
    ? source.slice("hf:".length)
    : (source.split("/").filter(Boolean).at(-1) ?? source);
  return { source, name, format: formatNamed(format) };
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
