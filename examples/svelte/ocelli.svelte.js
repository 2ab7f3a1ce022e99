import { Ocelli } from "ocelli";

/** A model, for as long as the component is there. It's `$state.raw`: a model is no plain data, and must not become a proxy. */
export function useOcelli(source) {
  let model = $state.raw();
  let fraction = $state(0);
  let error = $state.raw();
  $effect(() => {
    const stop = new AbortController();
    const loading = Ocelli.load(source, {
      format: "q8",
      worker: "prefer",
      signal: stop.signal,
      onProgress: (progress) => (fraction = progress.fraction ?? 0),
    });
    loading.then(
      (loaded) => !stop.signal.aborted && (model = loaded),
      (reason) => !stop.signal.aborted && (error = reason),
    );
    return () => {
      stop.abort();
      loading.then((loaded) => loaded.dispose()).catch(() => {});
    };
  });
  return {
    get model() {
      return model;
    },
    get fraction() {
      return fraction;
    },
    get error() {
      return error;
    },
  };
}
