import { releaseProxy, type Remote } from "comlink";

/** Ends a worker. What speaks to it would keep it in memory. */
export function end<T>({ worker, entry }: { worker: Worker; entry: Remote<T> }): void {
  entry[releaseProxy]();
  worker.terminate();
}

/** Locks a name for as long as this worker lives; false where there are no locks. */
export function lock(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    if (!navigator.locks) return resolve(false);
    const held = () => {
      resolve(true);
      return new Promise<never>(() => {});
    };
    navigator.locks.request(name, held).catch(() => resolve(false));
  });
}

/**
 * Why a worker ended, once it has. Of one that is terminated, or that the browser ends, no event tells; but what it has locked is free
 * then. Pages that are not secure have no locks.
 *
 * @param entry What calls {@link lock} in there.
 */
export function deathOf(worker: Worker, entry: { lock: (name: string) => Promise<boolean> }): Promise<string> {
  return new Promise((resolve) => {
    worker.addEventListener("error", ({ message }) => resolve(message ?? ""));
    const name = `ocelli.worker.${Math.random()}`;
    void (async () => {
      if (await entry.lock(name)) await navigator.locks.request(name, () => resolve("it was terminated"));
    })().catch(() => {});
  });
}
