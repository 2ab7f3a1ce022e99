# Part of build.sh: what a browser downloads, and how much it may be.

# What a browser may download: images alone (engine and package code), everything but the CPU's engine, and that by itself.
readonly MOST_FOR_IMAGES=399000
readonly MOST_BYTES=1068000
readonly MOST_FOR_CPU=434000
# The CPU's bindings, and of models that write: the code that only they have, and their engines with bindings.
readonly MOST_FOR_BINDINGS=8000
readonly MOST_FOR_VLM=7600
readonly MOST_FOR_VLM_GPU=478000
readonly MOST_FOR_VLM_CPU=619000
# The search, an entry of its own.
readonly MOST_FOR_INDEX=12000

gzipped() { cat "$@" | gzip -9 | wc -c; }

# within NAME BYTES MOST
within() {
  printf '%-28s %7d bytes gzipped, expected less than %d\n' "$@"
  [ "$2" -lt "$3" ] || fail "the package has grown beyond a limit: $1"
}

size() {
  pkg
  local js engine tokenizer cpu relaxed
  # Other bindings are imported when they are needed.
  js=$(gzipped pkg/dist/{index,worker,chunk-*}.js)
  engine=$(gzipped pkg/wasm/ocelli_bg.wasm)
  tokenizer=$(gzipped pkg/wasm/ocelli_tokenizer_bg.wasm)
  cpu=$(gzipped pkg/wasm/ocelli_cpu_bg.wasm)
  relaxed=$(gzipped pkg/wasm/ocelli_cpu_relaxed_bg.wasm)
  within "for images" $((js + engine)) "$MOST_FOR_IMAGES"
  within "with texts" $((js + engine + tokenizer)) "$MOST_BYTES"
  within "the CPU's engine" "$cpu" "$MOST_FOR_CPU"
  within "the same, relaxed SIMD" "$relaxed" "$MOST_FOR_CPU"
  within "the CPU's bindings" "$(gzipped pkg/dist/ocelli_cpu-*.js)" "$MOST_FOR_BINDINGS"
  within "writing, its code" "$(gzipped pkg/dist/vlm/vlm.js)" "$MOST_FOR_VLM"
  within "writing on the GPU" "$(gzipped pkg/{wasm/ocelli_vlm_bg.wasm,dist/ocelli_vlm-*.js})" "$MOST_FOR_VLM_GPU"
  within "writing on the CPU" "$(gzipped pkg/{wasm/ocelli_vlm_cpu_bg.wasm,dist/ocelli_vlm_cpu-*.js})" "$MOST_FOR_VLM_CPU"
  within "the same, relaxed SIMD" "$(gzipped pkg/{wasm/ocelli_vlm_cpu_relaxed_bg.wasm,dist/ocelli_vlm_cpu_relaxed-*.js})" "$MOST_FOR_VLM_CPU"
  within "the search" "$(gzipped pkg/dist/index/index.js)" "$MOST_FOR_INDEX"
}
