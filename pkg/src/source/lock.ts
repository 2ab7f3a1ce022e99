import { heed } from "./request.js";

/** How long a load may bring nothing before those that wait for it go on by themselves. */
const STALLED_MS = 15_000;

/**
 * Waits until no other load, in this page or another, is under way under a name: what it brings is in the cache then. It waits no longer
 * if that load seems stuck, as `progress` does not change any more, and not at all where the browser has no locks.
 *
 * @returns Whether there was another load; and what lets go of the name.
 */
export async function lock(
  name: string,
  progress: () => Promise<number>,
  signal: AbortSignal,
): Promise<{ waited: boolean; release: () => void }> {
  const none = { waited: false, release: () => {} };
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  if (!locks) return none;
  /** Asks for the lock; undefined if it is not free and is not waited for. */
  const ask = (options: LockOptions) =>
    new Promise<(() => void) | undefined>((resolve, reject) => {
      const held = (lock: Lock | null) =>
        lock ? new Promise<void>((release) => resolve(release)) : void resolve(undefined);
      locks.request(name, options, held).catch(reject);
    });
  try {
    const free = await ask({ ifAvailable: true });
    if (free) return { waited: false, release: free };
  } catch {
    // Forbidden, as in a sandboxed frame.
    return none;
  }
  const enough = new AbortController();
  const stop = () => enough.abort();
  signal.addEventListener("abort", stop);
  let before = await progress();
  const watch = setInterval(() => {
    void progress().then((now) => (now === before ? stop() : (before = now)));
  }, STALLED_MS);
  const asked = ask({ signal: enough.signal });
  try {
    return { waited: true, release: (await heed(asked, signal)) ?? none.release };
  } catch {
    // It may still come.
    asked.then((release) => release?.()).catch(() => {});
    signal.throwIfAborted();
    return { waited: true, release: none.release };
  } finally {
    clearInterval(watch);
    signal.removeEventListener("abort", stop);
  }
}
