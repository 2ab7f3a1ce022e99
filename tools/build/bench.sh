# Part of build.sh: benchmarks.

# Roofs, tiers, the steps of a block, towers. --full: all published shapes in all formats, which needs a real GPU to end.
bench() {
  setup_gpu
  export NODEVICE_SELECT=1
  cargo build --quiet --release
  local ocelli=target/release/ocelli
  case "${1:-}" in
    '')
      "$ocelli" bench --models siglip-b16 --formats f32,f16,q8,q4 --batches 1 --steps --block-only
      "$ocelli" bench --models siglip-b16 --formats f16,q8,q4 --batches 1,8
      ;;
    --full)
      "$ocelli" bench --models siglip-b16 --formats f32,f16,q8,q4 --batches 1,32 --tiers all --steps --block-only
      "$ocelli" bench --models clip-b32,clip-b16,clip-l14,siglip-b16,so400m --formats f16,q8,q4 --batches 1,8,32
      ;;
    *) "$ocelli" bench "$@" ;;
  esac
}

# Python with PyTorch and onnxruntime, for the benchmark alone.
bench_venv() {
  local venv=target/bench/venv
  [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import gguf, onnx, onnxruntime, onnxscript, torch, transformers' 2>/dev/null || return 0
  need python3 "install Python 3.11 or later"
  python3 -m venv "$venv" || { apt_install python3-venv && python3 -m venv "$venv"; } ||
    fail "python3 -m venv failed: install Debian's python3-venv or the like"
  "$venv/bin/pip" install --quiet -r tools/requirements.txt -r tools/requirements-bench.txt
}

# synthesize FOLDER FAMILY VISION: a model with random weights in f32, of the family's usual shape but for what VISION says.
synthesize() {
  mkdir -p target/bench/models
  rm -rf "$1"
  echo "{ \"model_type\": \"$2\", \"text_config\": {}, \"vision_config\": $3 }" >"$1.json"
  target/release/ocelli synthesize "$1.json" "$1" --tokenizer "tests/fixtures/$2" --dtype f32
}

# The model that natively all compare, unless another folder is named.
bench_cpu() {
  local model=target/bench/models/siglip-b16-f32
  stage "PyTorch and onnxruntime" bench_venv
  cargo build --quiet --release
  if [ -d "${1:-}" ]; then
    model=$1
    shift
  elif [ ! -f "$model/model.safetensors" ]; then
    stage "model" synthesize "$model" siglip '{}'
  fi
  target/bench/venv/bin/python tools/bench_cpu.py "$model" "$@"
}

# bench_model FOLDER FAMILY VISION: as files for all that browsers compare; made once, up to 4 GB.
bench_model() {
  [ ! -f "$1/.complete" ] || return 0
  cargo build --quiet --release
  stage "PyTorch and onnxruntime" bench_venv
  synthesize "$@"
  stage "export to ONNX" target/bench/venv/bin/python tools/export_onnx.py "$1" --complete
  target/release/ocelli quantize "$1" "$1/q8" --format q8
  target/release/ocelli quantize "$1" "$1/q4" --format q4
  touch "$1/.complete"
}

# bench_writer FOLDER SHAPE TOKENIZER EXPORTER: likewise, for models that write; made once, 4 GB.
bench_writer() {
  [ ! -f "$1/.complete" ] || return 0
  cargo build --quiet --release
  stage "PyTorch and onnxruntime" bench_venv
  mkdir -p target/bench/models
  rm -rf "$1"
  target/release/ocelli synthesize "$2" "$1" --tokenizer "tests/fixtures/$3" --dtype f32
  stage "export for the others" target/bench/venv/bin/python "tools/$4" "$1"
  target/release/ocelli quantize "$1" "$1/q8" --format q8
  target/release/ocelli quantize "$1" "$1/q4" --format q4
  touch "$1/.complete"
}

bench_site() {
  pkg
  npm_install www
  npm run --silent --prefix www bench:build
}

bench_web() {
  if [ "${1:-}" = --index ]; then
    setup_browser
    npm_install pkg
    node tests/web/bench-index.mjs "${@:2}"
    return
  fi
  if [ "${1:-}" = --page ]; then
    bench_site
    echo "The page is ready, at /bench.html; Ctrl+C ends it."
    npm run --silent --prefix www bench:preview
    return
  fi
  setup_browser
  bench_site
  local models=target/bench/models
  if [[ " $* " = *" --smoke "* || " $* " = *" --model"* ]]; then
    node tests/web/bench.mjs "$@"
  elif [[ " $* " = *" --detect "* ]]; then
    bench_model "$models/owlvit-b32" owlvit '{}'
    bench_model "$models/owlv2-b16-448" owlv2 '{ "image_size": 448 }'
    node tests/web/bench.mjs --model "$models/owlvit-b32" "$@"
    node tests/web/bench.mjs --model "$models/owlv2-b16-448" "$@"
  elif [[ " $* " = *" --write "* ]]; then
    bench_writer "$models/smolvlm-256m" tests/shapes/smolvlm-256m.json decoders/smolvlm export_writer.py
    node tests/web/bench.mjs --model "$models/smolvlm-256m" "$@"
  elif [ "${1:-}" = --florence ]; then
    bench_writer "$models/florence-2-base" tests/shapes/florence-2-base.json florence export_florence.py
    node tests/web/bench.mjs --model "$models/florence-2-base" --write "${@:2}"
  else
    bench_model "$models/siglip-b16" siglip '{}'
    node tests/web/bench.mjs --model "$models/siglip-b16" "$@"
  fi
}
