import { Ocelli } from "ocelli";
import { useEffect, useState } from "react";

/**
 * A model, for as long as the component is mounted: `{ model, fraction, error }`. Under StrictMode, which mounts everything twice, the
 * first load is stopped, and the second goes on with what has arrived.
 */
export function useOcelli(source) {
  const [state, setState] = useState({ fraction: 0 });
  useEffect(() => {
    const stop = new AbortController();
    const loading = Ocelli.load(source, {
      format: "q8",
      worker: "prefer",
      signal: stop.signal,
      onProgress: ({ fraction = 0 }) => setState({ fraction }),
    });
    loading.then(
      (model) => !stop.signal.aborted && setState({ model, fraction: 1 }),
      (error) => !stop.signal.aborted && setState({ error, fraction: 0 }),
    );
    return () => {
      stop.abort();
      loading.then((model) => model.dispose()).catch(() => {});
    };
  }, [source]);
  return state;
}
