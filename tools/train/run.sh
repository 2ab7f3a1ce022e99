#!/usr/bin/env bash
# From nothing to the checkpoint: tools/train/run.sh FOLDER [MODEL] [options]. Each step is skipped if its result is there; training goes
# on where it was. MODEL is tiny (if nothing is said), ask, find or mask; the options are train.py's, and loop.py's of the other three.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { echo "usage: tools/train/run.sh FOLDER [tiny|ask|find|mask] [--stop-after STEPS] (about 4 GB: the pictures, the training state, the checkpoint)" >&2; exit 2; }
mkdir -p "$1" && cd "$1"
shift
model=tiny
case "${1:-}" in tiny | ask | find | mask)
  model=$1
  shift
  ;;
esac

if ! [ -x venv/bin/python ]; then
  python3 -m venv venv
  venv/bin/pip install --quiet -r "$here/requirements.txt"
fi
if ! [ -d node_modules ]; then
  cp "$here/package.json" .
  npm install --ignore-scripts --no-audit --no-fund
fi
if ! [ -d openclipart ]; then
  # Debian's package, without installing it.
  apt-get download openclipart-svg || { apt-get update; apt-get download openclipart-svg; }
  dpkg -x openclipart-svg_*.deb unpacked
  mv unpacked/usr/share/openclipart/svg openclipart
  rm -r unpacked openclipart-svg_*.deb
fi
python="$PWD/venv/bin/python"
[ -f scenes.json ] || "$python" "$here/scenes.py" .
[ -f concepts.json ] || "$python" "$here/art.py" .
[ -f tokenizer.json ] || "$python" "$here/names.py" .
case "$model" in
tiny)
  [ -d evaluation ] || "$python" "$here/evaluate.py" .
  "$python" "$here/train.py" . --resume "$@"
  ;;
ask)
  [ -f words.json ] || "$python" "$here/words.py" .
  [ -f ask-start.pt ] || "$python" "$here/ask_start.py" .
  "$python" "$here/ask.py" . --resume "$@"
  ;;
*)
  [ -f find-tokenizer.json ] || "$python" "$here/find_words.py" .
  "$python" "$here/$model.py" . --resume "$@"
  ;;
esac
