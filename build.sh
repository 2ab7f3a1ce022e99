#!/usr/bin/env bash
# The one entry point: ./build.sh VERB. Without a verb it prints the verbs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export CARGO_TARGET_DIR="$PWD/target"
readonly TOOLS="$CARGO_TARGET_DIR/tools"
# Whose tests are run. The wheel has none in Rust; it is named so that what both depend on is built once, with the features of both.
readonly TESTED=(--package ocelli --package ocelli-vision)

for part in engines size wheel bench; do source "tools/build/$part.sh"; done

usage() {
  cat <<'TEXT'
./build.sh VERB
  demo           build everything and serve the app; --check [GROUP…] opens it in a browser and uses each of its pages, or
                 some of: shell, picture, models, offline, …
  site           build everything and write the app for any static host, the reference beside it: www/dist
  test           all tests; --full also runs what takes long
  fuzz           damaged files, 1,000,000 for each parser: fuzz [RUNS [SEED [FILE]]]
                 fuzz --coverage FILE [SECONDS]: guided by coverage, with nightly Rust and cargo-fuzz
  bench          how fast this device is, natively: tiers, kernels, models: bench [--full] or what `ocelli bench` takes
  bench-cpu      Ocelli's CPU path beside PyTorch and ONNX Runtime on the same cores: bench-cpu [--batches 1,8] [--threads 1,2] …
  bench-web      in the browser, beside onnxruntime-web and transformers.js: bench-web [--precision q8] [--rounds N] …
                 bench-web --detect: detection, with OWL-ViT B/32, then with OWLv2 B/16 on a canvas of 448
                 bench-web --write: texts, with SmolVLM-256M, beside wllama, too: [--precision q8|q4|f32] [--tokens N] [--no-cold] …
                 bench-web --florence: pictures and answers of Florence-2, likewise
                 bench-web --zero-shot --precision q4: the zero-shot workload of webai-compute-benchmark
                 bench-web --page serves the page to run it by hand; --smoke looks whether it works
                 bench-web --index [--page]: the search of embeddings beside a copy on the same device
  check          format, lints, docs, import direction, types, the package as npm users meet it
  format         lay out Rust, TypeScript and JavaScript as check wants them
  docs           the reference of the package and its guides, in target/docs
  pkg            the npm package, in pkg/
  size           what a browser downloads; fails beyond its limits
  wheel          the Python wheel, in target/wheels: built, installed alone, and tested, with a cluster of Ray
  setup          install everything that the other verbs need
TEXT
}

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

# Runs a stage and keeps how long it took, for the table of `stages`.
SECONDS_OF=()
stage() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  SECONDS_OF+=("$name | $((SECONDS - start))")
}

# How long each stage took.
stages() {
  printf '\n| stage | seconds |\n|---|---:|\n'
  printf '| %s |\n' "${SECONDS_OF[@]}" "all | $SECONDS"
}

need() { command -v "$1" >/dev/null || fail "expected $1, found none: $2"; }

need_rust() {
  need cargo "install Rust from https://rustup.rs"
  # Cargo links build scripts with it, also for the browser.
  command -v cc >/dev/null || apt_install gcc libc6-dev || need cc "install a C compiler, such as Debian's gcc and libc6-dev"
}

need_node() {
  need node "install Node.js 20 or later from https://nodejs.org"
  need npm "install npm, which comes with Node.js"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "expected Node.js 20 or later, found $(node --version)"
}

# npm packages of a folder, as its lock file has them; skipped while the lock file is the one installed last.
npm_install() {
  local stamp="$1/node_modules/.installed"
  cmp -s "$1/package-lock.json" "$stamp" && return
  # Install scripts only download browsers and the like, which nothing here needs.
  npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund
  cp "$1/package-lock.json" "$stamp"
}

setup_wasm() {
  need_rust
  need_node
  if ! [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
    need rustup "or add the target wasm32-unknown-unknown to your Rust by other means"
    rustup target add wasm32-unknown-unknown
  fi
  npm_install pkg
}

browser() {
  local name
  for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && return
  done
  return 1
}

# Debian packages, if this may be done here.
apt_install() {
  command -v apt-get >/dev/null || return 1
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    sudo=(sudo -n)
  fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

setup_browser() {
  need_node
  npm_install tests/web
  browser >/dev/null && return
  apt_install chromium || echo "No browser: install Chromium, or set CHROMIUM to one. Browser tests are SKIPPED without."
}

setup_gpu() {
  local found
  found=$(find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name '*.json' 2>/dev/null | head -n 1 || true)
  [ "$(uname)" != Linux ] || [ -n "$found" ] || apt_install mesa-vulkan-drivers libvulkan1 ||
    echo "No Vulkan driver: install your GPU's, or mesa-vulkan-drivers. GPU tests are SKIPPED without."
}

# Once, whoever needs it.
pkg() {
  [ -z "${PKG_BUILT:-}" ] || return 0
  setup_wasm
  engines
  npm run --silent --prefix pkg build
  cp LICENSE-MIT LICENSE-APACHE pkg/
  PKG_BUILT=1
}

# The app, as static files.
app_site() {
  pkg
  npm_install www
  npm run --silent --prefix www build
}

# The app, with the reference and the guides in a folder of it.
site() {
  # The page leads to it.
  OCELLI_REFERENCE=1 app_site
  docs
  rm -rf www/dist/reference
  cp -R target/docs www/dist/reference
  echo "www/dist has the app, for any static host and any folder; www/README.md says what a host should send along."
}

demo() {
  if [ "${1:-}" = --check ]; then
    setup_browser
    app_site
    node tests/web/app.mjs "${@:2}"
    return
  fi
  app_site
  echo "The page is ready; Ctrl+C ends it."
  npm run --silent --prefix www preview
}

# The reference and the guides: whatever is exported without a word about it is an error.
docs() {
  npm_install docs
  npm run --silent --prefix docs build
  echo "target/docs/index.html"
}

# What ships: its exports, files and types, for those who use it as a module.
tarball() {
  local folder=target/web/tarball bin=tests/web/node_modules/.bin
  rm -rf "$folder"
  mkdir -p "$folder"
  npm pack --silent --pack-destination "$folder" ./pkg >/dev/null
  "$bin/publint" run "$folder"/*.tgz --strict
  # Wasm files have no types.
  "$bin/attw" "$folder"/*.tgz --no-summary --format table-flipped --no-emoji --no-color \
    --exclude-entrypoints ocelli{,_vlm}{,_cpu,_cpu_relaxed}.wasm ocelli_tokenizer.wasm
}

# consumers [NAME…]
consumers() {
  npm_install tests/web/consumers
  [ "$#" != 0 ] || npm_install tests/web/consumers/next
  node tests/web/consumers.mjs "$@"
}

# examples [NAME…]
examples() {
  npm_install tests/web/consumers
  [ "$#" != 0 ] || npm_install tests/web/consumers/next
  node tests/web/examples.mjs "$@"
}

# TypeScript and JavaScript as prettier lays it out: prettier --check or --write.
prettier() {
  pkg/node_modules/.bin/prettier "$1" --log-level warn 'pkg/src/**/*.ts' 'pkg/*.mjs' 'www/src/**/*.ts' 'www/*.js' 'tests/web/**/*.{mjs,js,ts}' 'examples/**/*.{js,jsx,vue}'
}

web_syntax() { find tests/web -name '*.*js' -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/.next/*' -not -path '*/out/*' -print0 | xargs -0 -n 1 node --check; }

check() {
  setup_wasm
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
  npm_install www
  npm_install tests/web
  stage "format" cargo fmt --all --check
  stage "format of TypeScript" prettier --check
  # .ci/run lints what it builds, as it builds it.
  if [ -z "${RUSTC_WORKSPACE_WRAPPER:-}" ]; then
    stage "lints, native" cargo clippy --quiet --workspace --all-targets -- -D warnings
    stage "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --lib
  fi
  local part
  for part in wasm-{gpu,cpu,tokenizer}; do
    stage "lints, $part" cargo clippy --quiet --lib --target wasm32-unknown-unknown --no-default-features --features "$part,writing" -- -D warnings
  done
  stage "import direction" cargo test --quiet "${TESTED[@]}" --test architecture
  # The package's types are made from the wasm module's, the page's from the package's.
  stage "package" pkg
  stage "tarball" tarball
  stage "types of the page" npm run --silent --prefix www check
  stage "reference and guides" docs
  stage "syntax of the web tests" web_syntax
  stages
}

# The pages of the app that a usual test opens; all of them take twenty minutes.
readonly APP_PAGES=(shell picture tools photos search offline)

# Two browsers at once, since each of them waits a lot. What the second one says comes after the first, and what failed at the end.
in_browsers() {
  local first=target/web/first.log second=target/web/second.log begun=target/web/begun other failed=
  rm -rf "$begun"
  mkdir -p "$begun"
  {
    local rc=0
    if [ "${OCELLI_FULL:-}" = 1 ]; then node tests/web/app.mjs || rc=1; else node tests/web/app.mjs "${APP_PAGES[@]}" || rc=1; fi
    node tests/web/package.mjs --begun="$begun" || rc=1
    exit "$rc"
  } >"$second" 2>&1 &
  other=$!
  node tests/web/package.mjs --begun="$begun" 2>&1 | tee "$first" || failed=1
  wait "$other" || failed=1
  cat "$second"
  [ -z "$failed" ] || grep -h -A 9 '^FAIL' "$first" "$second" || true
  return "${failed:-0}"
}

tests() {
  [ "${1:-}" != --full ] || export OCELLI_FULL=1
  setup_gpu
  # Silences a Mesa layer that complains about a missing desktop.
  export NODEVICE_SELECT=1
  stage "Rust tests" cargo test --quiet "${TESTED[@]}" --no-fail-fast
  [ "${OCELLI_FULL:-}" != 1 ] || stage "full-size models" cargo test --quiet "${TESTED[@]}" --test full -- --ignored
  setup_browser
  stage "package" pkg
  stage "size" size
  # After the package, whose search reads an index that the wheel wrote.
  if [ "${OCELLI_FULL:-}" = 1 ]; then stage "wheel" wheel python; else stage "wheel" wheel dev; fi
  stage "tests of the wheel" wheel_tests
  stage "app" app_site
  stage "package and app in the browser" in_browsers
  if [ "${OCELLI_FULL:-}" = 1 ]; then stage "projects that use it" consumers; else stage "projects that use it" consumers vite import-map; fi
  if [ "${OCELLI_FULL:-}" = 1 ]; then stage "examples" examples; else stage "examples" examples vanilla react; fi
  [ "${OCELLI_FULL:-}" != 1 ] || stage "full-size models in the browser" full_size
  [ "${OCELLI_FULL:-}" != 1 ] || stage "package in Firefox" node tests/web/package.mjs --firefox
  [ "${OCELLI_FULL:-}" != 1 ] || stage "app in Firefox" node tests/web/app-firefox.mjs
  stages
}

full_size() {
  cargo build --quiet --release
  node tests/web/full.mjs
}

fuzz() {
  if [ "${1:-}" = --coverage ]; then
    export OCELLI_FUZZ_FILE=${2:?the name of a file, such as tokenizer.json}
    local corpus="target/fuzz/corpus/$OCELLI_FUZZ_FILE"
    mkdir -p "$corpus"
    PATH="$TOOLS/bin:$PATH"
    command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --root "$TOOLS" --target-dir "$TOOLS/build"
    cargo +nightly fuzz run parsers "$corpus" -- -max_total_time="${3:-600}" -rss_limit_mb=4096 -max_len=65536
    return
  fi
  export OCELLI_FUZZ_RUNS=${1:-1000000} OCELLI_FUZZ_SEED=${2:-1}
  cargo test --quiet --profile fuzz --test fuzz -- ${3:+"$3"}
}

format() {
  need_rust
  npm_install pkg
  cargo fmt --all
  prettier --write
}

setup() {
  setup_wasm
  npm_install www
  npm_install docs
  npm_install tests/web/consumers
  setup_browser
  setup_gpu
}

case "${1:-}" in
  demo) demo "${@:2}" ;;
  test) need_rust && tests "${@:2}" ;;
  fuzz) need_rust && fuzz "${@:2}" ;;
  wheel) need_rust && wheel python && wheel_tests ;;
  bench) need_rust && bench "${@:2}" ;;
  bench-cpu) need_rust && bench_cpu "${@:2}" ;;
  bench-web) need_rust && bench_web "${@:2}" ;;
  docs) pkg; docs ;;
  check | format | pkg | site | size | setup) "$1" ;;
  *) usage && exit 2 ;;
esac
