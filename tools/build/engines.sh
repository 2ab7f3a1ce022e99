# Part of build.sh: the wasm files, one for each way to compute and kind of model.

# One of the engines: engine FEATURES NAME [PROFILE [RUSTFLAGS [FLAG OF WASM-OPT]]]
engine() {
  local features=$1 name=$2 profile=${3:-wasm}
  local built=target/wasm32-unknown-unknown/$profile/ocelli.wasm file=pkg/wasm/$2_bg.wasm
  RUSTFLAGS="${RUSTFLAGS:-} ${4:-}" env -u RUSTC_WORKSPACE_WRAPPER cargo build --quiet --lib --profile "$profile" \
    --target wasm32-unknown-unknown --no-default-features --features "$features"
  target/bindings/bindings "$built" pkg/wasm "$name"
  # Features one by one: with --all-features wasm-opt emits encodings that browsers do not read yet.
  # No inlining: rustc has done its own, and copies of a function compress worse than calls of it.
  node pkg/node_modules/binaryen/bin/wasm-opt -Os \
    --always-inline-max-function-size=0 --one-caller-inline-max-function-size=0 \
    --enable-bulk-memory --enable-bulk-memory-opt --enable-nontrapping-float-to-int --enable-sign-ext \
    --enable-mutable-globals --enable-reference-types --enable-multivalue --enable-simd ${5:+"$5"} "$file" -o "$file"
}

# What the engines are made of.
engine_sources() {
  rustc --version
  find src shaders tools/bindings -path src/bin -prune -o -type f -print0 | sort -z | xargs -0 cat Cargo.toml Cargo.lock pkg/package-lock.json tools/build/engines.sh
}

# The wasm files. Cargo has one place for all of a profile, and would link each of them again whenever it is asked.
engines() {
  local seen=target/engines.sum sum simd="-C target-feature=+simd128" cpu relaxed
  sum=$(engine_sources | cksum)
  [ "$sum" != "$(cat "$seen" 2>/dev/null)" ] || ! [ -f pkg/wasm/ocelli_tokenizer_bg.wasm ] || return 0
  rm -rf pkg/wasm "$seen"
  cargo build --quiet --profile bindings --package bindings
  # Several at once: the end of each build and wasm-opt have one thread. Profiles have folders and locks of their own.
  {
    engine wasm-cpu ocelli_cpu wasm-cpu "$simd"
    engine wasm-cpu,writing ocelli_vlm_cpu wasm-cpu "$simd"
  } &
  cpu=$!
  {
    engine wasm-cpu-relaxed ocelli_cpu_relaxed wasm-cpu-relaxed "$simd,+relaxed-simd" --enable-relaxed-simd
    engine wasm-cpu-relaxed,writing ocelli_vlm_cpu_relaxed wasm-cpu-relaxed "$simd,+relaxed-simd" --enable-relaxed-simd
  } &
  relaxed=$!
  engine wasm-gpu ocelli
  engine wasm-gpu,writing ocelli_vlm
  # Prompts are the tokenizer's.
  engine wasm-tokenizer,writing ocelli_tokenizer
  wait "$cpu"
  wait "$relaxed"
  echo "$sum" >"$seen"
}
