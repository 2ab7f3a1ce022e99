"""Prints the model card's table of sources, from the packages' own descriptions.

    sources.py FOLDER
"""

import collections
import json
import sys
from pathlib import Path

from art import COLOUR_ICONS, EMOJI, HELD_OUT, MONOCHROME_EMOJI, MONOCHROME_ICONS


def main():
    folder = Path(sys.argv[1])
    pictures = collections.Counter(a["source"] for a in json.loads((folder / "art.json").read_text()) if a["kind"] in ("colour", "monochrome"))
    print("| source | by | licence | drawings |\n|---|---|---|---|")
    for name in sorted({*EMOJI, *MONOCHROME_EMOJI, *COLOUR_ICONS, *MONOCHROME_ICONS} - {HELD_OUT}):
        info = json.loads((folder / f"node_modules/@iconify-json/{name}/info.json").read_text())
        author, licence = info["author"], info["license"]
        terms = f"[{licence['title']}]({licence['url']})" if licence.get("url") else licence["title"]
        print(f"| {info['name']} (`{name}`) | [{author['name']}]({author['url']}) | {terms} | {pictures[name]} |")
    print(f"| Noto Emoji, monochrome (`@fontsource/noto-emoji`) | Google | [OFL 1.1](https://openfontlicense.org) | {pictures['noto-emoji']} |")
    print(f"| Open Clip Art (Debian's `openclipart-svg`) | its [contributors](https://openclipart.org) | public domain | {pictures['openclipart']} |")
    print("| names and keywords (`emojibase-data`) | [Miles Johnson](https://emojibase.dev) | MIT | |")


if __name__ == "__main__":
    main()
