import { Ocelli, type CachedModel, type StorageState } from "ocelli";
import { listedAs } from "./catalog.ts";
import { modelsOf } from "./models.ts";
import { Store } from "./store.ts";

/** A model whose files are kept in this browser. */
export interface KeptModel extends CachedModel {
  /** The source, as in a `Choice`. */
  source: string;
  name: string;
}

/** What the package keeps of models, and how much room the browser gives. */
class Kept extends Store {
  models: readonly KeptModel[] = [];
  storage: StorageState | undefined;
  /** Why the storage could not be read or changed. */
  failed: unknown;

  constructor() {
    super();
    for (const models of Object.values(modelsOf)) {
      let loading = false;
      models.addEventListener("change", () => {
        // A load that ended, however, may have left something.
        if (loading && !models.loading) void this.read();
        loading = models.loading !== undefined;
      });
    }
  }

  read(): Promise<void> {
    return this.#try(async () => {
      const [found, storage] = await Promise.all([Ocelli.cached(), Ocelli.storage()]);
      this.models = found.map((one) => ({ ...one, ...named(one.url) })).sort((a, b) => a.name.localeCompare(b.name));
      this.storage = storage;
    });
  }

  of(source: unknown): KeptModel | undefined {
    return this.models.find((one) => one.source === source);
  }

  /** Whether the browser has room for so many bytes more, as far as it tells. */
  fits(bytes: number): boolean {
    const { usage = 0, quota = Infinity } = this.storage ?? {};
    return usage + bytes <= quota;
  }

  /** Deletes the files of one model, or of all models if none is given. */
  remove(model?: KeptModel): Promise<void> {
    return this.#try(async () => {
      await Ocelli.clear(model?.source);
      await this.read();
    });
  }

  /** Asks the browser not to clear this site by itself. */
  persist(): Promise<void> {
    return this.#try(async () => void (this.storage = await Ocelli.storage({ persist: true })));
  }

  async #try(work: () => Promise<void>): Promise<void> {
    this.failed = undefined;
    try {
      await work();
    } catch (error) {
      this.failed = error;
    }
    this.changed();
  }
}

export const kept = new Kept();

/** What a folder's address is called here. On the hub all revisions of a repository are one model. */
function named(url: string): { source: string; name: string } {
  const { hostname, pathname } = new URL(url);
  const [, id] = /^\/(.+)\/resolve\/[^/]+\/$/.exec(pathname) ?? [];
  const source = hostname === "huggingface.co" && id ? `hf:${id}` : url;
  const name = listedAs(source)?.name;
  return {
    source,
    name: name ?? (source === url ? (pathname.split("/").filter(Boolean).at(-1) ?? hostname) : (id as string)),
  };
}
