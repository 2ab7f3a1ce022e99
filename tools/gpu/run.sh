#!/usr/bin/env bash
# On the machine with the GPU, in a copy of the working tree with the .gpu that pack.sh made:
#   bash .gpu/run.sh [PART…]      parts: info steps towers find write torch tests; all by default, in about nine minutes
# Each part has a time limit of its own, so that the last ones run, too. Logs, JSON and ratios are in $OUT, .gpu/out by default.
# The copy is its own: the loader is unpacked into the system's folders if it has none.
set -uo pipefail
out=${OUT:-.gpu/out}
mkdir -p "$out" .gpu/bin
if ! ldconfig -p | grep -q libvulkan; then
  for file in .gpu/deb/*.deb; do dpkg -x "$file" /; done
  ldconfig
fi
# NVIDIA's driver in containers: the loader doesn't look there.
icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
[ ! -f "$icd" ] || export VK_DRIVER_FILES=${VK_DRIVER_FILES:-$icd}
root=$(cat .gpu/root)
[ -e "$root" ] || { mkdir -p "$(dirname "$root")" && ln -s "$PWD" "$root"; }
export REQUIRE_GPU=1 NODEVICE_SELECT=1

part() { # NAME SECONDS LINES COMMAND…
  local name=$1 limit=$2 lines=$3 start=$SECONDS rc=0
  shift 3
  timeout "$limit" "$@" >"$out/$name.log" 2>&1 || rc=$?
  printf '== %-16s exit status %s, %s s\n' "$name" "$rc" $((SECONDS - start))
  tail -n "$lines" "$out/$name.log"
}
bench() { # NAME SECONDS ARGUMENTS…
  local name=$1 limit=$2
  shift 2
  part "$name" "$limit" 80 .gpu/bin/ocelli bench --ratios "$out/$name.json" "$@"
}

parts=("$@")
[ "$#" != 0 ] || parts=(info steps towers find write torch tests)
for name in "${parts[@]}"; do
  case $name in
    info) part info 20 20 .gpu/bin/ocelli info --model www/models/ocelli-tiny ;;
    steps) bench steps 60 --models siglip-b16 --formats f32,f16,q8,q4 --batches 1,32 --tiers all --steps --block-only ;;
    towers) bench towers 90 --models clip-b32,siglip-b16,so400m --formats f32,f16,q8,q4 --batches 1,8,32 ;;
    find)
      bench find 45 --models owlvit-b32,owlv2-b16 --formats f16,q8 --batches 1
      bench find-steps 45 --models owlv2-b16 --formats f16 --batches 1 --steps --block-only
      ;;
    write)
      bench write 45 --models smolvlm-256m --formats f16,q8,q4
      bench write-steps 45 --models smolvlm-256m --formats q8 --steps --block-only
      ;;
    torch) part torch 60 30 python3 .gpu/torch_bench.py "$out/torch.json" ;;
    tests) for program in .gpu/bin/test-*; do part "$(basename "$program")" 100 6 "$program"; done ;;
    *) echo "run.sh: expected one of info, steps, towers, find, write, torch, tests, found $name" >&2 && exit 2 ;;
  esac
done
