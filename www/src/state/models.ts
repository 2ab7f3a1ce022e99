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
}

const last = remembered<{ source: string; name: string; format?: Format } | null>("model", null);

/** The model in use, for all pages. It runs in a worker, so that none of them ever waits. */
class Models extends Store {
  /** The model in use. It stays in use until the next one is loaded. */
  model: Ocelli | undefined;
  choice: Choice | undefined;
  loading: Loading | undefined;
  /** Why the last load failed. */
  failed: { choice: Choice; error: unknown } | undefined;
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

  /** Loads the model of the address, else the one that was used last, else the app's own. */
  start(): void {
    const asked = new URLSearchParams(location.search);
    const typed = asked.get("model");
    try {
      void this.load(typed ? chosen(typed, asked.get("format")) : (last.get() ?? builtIn));
    } catch (error) {
      this.failed = { choice: builtIn, error };
      this.changed();
    }
  }

  /** Loads a model beside the one in use, which is disposed of when the new one is ready. A newer load ends this one. */
  async load(choice: Choice): Promise<void> {
    this.#stop?.abort();
    const mine = (this.#stop = new AbortController());
    this.loading = { choice, progress: undefined };
    this.failed = undefined;
    this.changed();
    const onProgress = (progress: Progress) => {
      if (this.#stop !== mine) return;
      this.loading = { choice, progress };
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
      this.failed = { choice, error };
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
    if (typeof source === "string") last.set({ source, name, ...(format && { format }) });
    // After the calls that are under way.
    before?.dispose();
  }
}

export const models = new Models();

/**
 * The model that was typed: `hf:owner/name`, a model's page on huggingface.co, or a folder's address, made absolute.
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
  if (!typed) throw new AddressError("Write the address of a model folder first.");
  if (typed.startsWith("hf:")) return typed;
  if (!URL.canParse(typed, document.baseURI)) throw new AddressError(`“${typed}” cannot be read as one.`);
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
