/** Other tabs of this app are heard once for all that they change within this time. */
const HEARD_MS = 1000;

/** Tells the app's other tabs that the collection has changed, and hears it of them. */
export class Tabs {
  readonly #channel = new BroadcastChannel("ocelli-library");
  #heard = 0;

  constructor(changed: () => void) {
    this.#channel.addEventListener("message", () => {
      this.#heard ||= window.setTimeout(() => {
        this.#heard = 0;
        changed();
      }, HEARD_MS);
    });
  }

  tell(): void {
    this.#channel.postMessage("changed");
  }
}

/** Does work that only one tab may do at a time; `waits` says whether another one is at it. */
export async function oneTab(
  signal: AbortSignal,
  waits: (is: boolean) => void,
  work: (waited: boolean) => Promise<void>,
): Promise<void> {
  const name = "ocelli-indexing";
  // Pages without https have no locks.
  if (!("locks" in navigator)) return work(false);
  const mine = await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock) await work(false);
    return lock !== null;
  });
  if (mine) return;
  waits(true);
  try {
    await navigator.locks.request(name, { signal }, async () => {
      waits(false);
      await work(true);
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    waits(false);
  }
}
