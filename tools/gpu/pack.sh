#!/usr/bin/env bash
# Packs into .gpu/ (ignored by git) what a Linux machine with a GPU, but without Rust or a network, needs to check and measure Ocelli:
# the program, test programs, Vulkan's loader, run.sh and torch_bench.py. run.sh says what follows.
#   tools/gpu/pack.sh [TEST…]     default: kernels models decoders trial verify
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
tests=("$@")
[ "$#" != 0 ] || tests=(kernels models decoders trial verify)
export CARGO_TARGET_DIR="$PWD/target"
rm -rf .gpu/bin
mkdir -p .gpu/bin .gpu/deb

cargo build --release --bin ocelli
strip -o .gpu/bin/ocelli target/release/ocelli
for name in "${tests[@]}"; do
  path=$(cargo test --no-run --message-format=json --test "$name" | python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["kind"] == ["test"]:
        print(message["executable"])' | tail -n 1)
  [ -n "$path" ] || { echo "pack.sh: expected a test of this project, found $name" >&2; exit 1; }
  strip -o ".gpu/bin/test-$name" "$path"
done

# Debian's packages of the loader, without installing them; on other systems the machine's own is used.
if command -v apt-get >/dev/null && ! ls .gpu/deb/libvulkan1_* >/dev/null 2>&1; then
  (cd .gpu/deb && apt-get -qq download libvulkan1 libegl1 libglvnd0 libopengl0 libgl1 libglx0 libgles2) ||
    echo "pack.sh: no Vulkan loader was packed: the machine must have one" >&2
fi
cp "$here/run.sh" "$here/torch_bench.py" .gpu/
pwd >.gpu/root # test programs look for their fixtures in the folder in which they were built
tree=$(git ls-files -co --exclude-standard -z | xargs -0 du -cb 2>/dev/null | awk '/total$/ {n += $1} END {print int(n / 1048576) + 1}')
echo "$(du -sm .gpu | cut -f1) MB in .gpu and $tree MB of working tree"
