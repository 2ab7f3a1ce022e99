import { Ocelli } from "ocelli";
import { onScopeDispose, ref, shallowRef } from "vue";

/** A model, for as long as the component is there. It's a `shallowRef`: a model is no plain data, and must not become reactive. */
export function useOcelli(source) {
  const model = shallowRef();
  const fraction = ref(0);
  const error = shallowRef();
  const stop = new AbortController();
  const loading = Ocelli.load(source, {
    format: "q8",
    worker: "prefer",
    signal: stop.signal,
    onProgress: (progress) => (fraction.value = progress.fraction ?? 0),
  });
  loading.then(
    (loaded) => !stop.signal.aborted && (model.value = loaded),
    (reason) => !stop.signal.aborted && (error.value = reason),
  );
  onScopeDispose(() => {
    stop.abort();
    loading.then((loaded) => loaded.dispose()).catch(() => {});
  });
  return { model, fraction, error };
}
