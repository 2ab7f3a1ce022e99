"""Draws the pictures of every named thing, in every style, as RGBA squares.

    art.py FOLDER

FOLDER holds `node_modules` (package.json) and `openclipart` (Debian's openclipart-svg, unpacked). Written there:
`concepts.json`, the names; `art.npy`, uint8 [pictures, 96, 96, 4]; and `art.json`, the concept, source and kind of each picture.
OpenMoji's are marked as held out: train.py never sees them.
"""

import collections
import io
import json
import re
import sys
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image, ImageDraw, ImageFont

SIZE = 96
HELD_OUT = "openmoji"

# Emoji in colour; the number is the grid unit of an outline drawn round every shape, None where gradients would look wrong.
EMOJI = {"noto": 128, "noto-v1": 128, "twemoji": 36, "fluent-emoji-flat": 32, "emojione": 64, "fluent-emoji": None,
         "fxemoji": None, "streamline-emojis": None, HELD_OUT: None}
MONOCHROME_EMOJI = ["fluent-emoji-high-contrast", "emojione-monotone"]
COLOUR_ICONS = ["flat-color-icons", "icon-park", "streamline-color", "streamline-flex-color", "streamline-freehand-color",
                "streamline-kameleon-color", "streamline-plump-color", "streamline-ultimate-color"]
MONOCHROME_ICONS = ["carbon", "fa7-solid", "fluent", "game-icons", "healthicons", "hugeicons", "icon-park-outline", "iconoir",
                    "lucide", "maki", "material-symbols", "mdi", "mingcute", "ph", "solar", "streamline-freehand",
                    "streamline-ultimate", "tabler"]
# Words in an icon's name that say how it is drawn, not what it shows.
DRAWING_STYLE = set("""bold broken duotone duotones fill filled flat light line linear outline outlined rounded regular sharp thin
color solid round alt sharp twotone 12 16 20 24 28 32 48 1 2 3 4 one two three""".split())
# Icons whose name means another thing than the emoji of that name.
AMBIGUOUS = {"mouse", "crane", "seal", "date", "bat", "nut", "chick", "plug", "tent", "notes", "ring", "watch", "orange", "branch",
             "link", "fork", "shell", "python", "swan", "bug", "spoon", "ticket", "top", "back", "on", "soon", "end", "key cap"}


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("’", "").replace("'", "")).strip("-")


def concepts(folder):
    """The things with names: all emoji but flags, skin tones and the men's and women's variants of one activity."""
    data = json.loads((folder / "node_modules/emojibase-data/en/data.json").read_text())
    found = []
    for entry in data:
        group, label = entry.get("group"), entry["label"].lower()
        if group not in (0, 1, 3, 4, 5, 6, 7, 8):
            continue
        if group == 1 and re.match(r"(man|woman|men|women|person|people|family|couple|kiss)\b.+", label):
            continue
        if re.match(r"(keycap|input|japanese|cl|button|.* button$|[a-z]{1,2} button)", label):
            continue
        found.append({"label": label, "tags": [t.lower() for t in entry.get("tags", [])], "group": group, "emoji": entry["emoji"]})
    return found


def render(task):
    """One SVG as an RGBA square that its drawing fills."""
    svg, concept, source, kind = task
    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, width=144, skip_system_fonts=True)
    except BaseException as error:  # pyo3 reports a renderer's panic as a BaseException
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    square = fill_square(Image.open(io.BytesIO(png)))
    return None if square is None else (square, concept, source, kind)


def fill_square(image):
    image = image.convert("RGBA")
    box = image.getchannel("A").getbbox()
    if not box:
        return None
    image = image.crop(box)
    side = max(image.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    # Premultiplied in the middle, so that no colour of transparent pixels bleeds into the edge.
    return np.asarray(square.convert("RGBa").resize((SIZE, SIZE), Image.LANCZOS).convert("RGBA"))


class IconSet:
    """One of Iconify's JSON packages: SVG bodies by name."""

    def __init__(self, folder, name):
        self.data = json.loads((folder / f"node_modules/@iconify-json/{name}/icons.json").read_text())

    def names(self):
        return self.data["icons"].keys()

    def svg(self, name, group="", margin=0.0):
        alias = self.data.get("aliases", {}).get(name)
        icon = self.data["icons"].get(alias["parent"] if alias else name)
        if icon is None:
            return None
        width, height = (icon.get(k) or self.data.get(k) or 16 for k in ("width", "height"))
        left, top = icon.get("left", 0) - margin, icon.get("top", 0) - margin
        body = icon["body"].replace("currentColor", "#000")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
                f'viewBox="{left} {top} {width + 2 * margin} {height + 2 * margin}"><g {group}>{body}</g></svg>')


def emoji_tasks(folder, things):
    for name, grid in EMOJI.items():
        icons = IconSet(folder, name)
        for index, thing in enumerate(things):
            key = slug(thing["label"])
            if (svg := icons.svg(key)) is None:
                continue
            yield svg, index, name, "colour"
            if grid is None:
                continue
            # Drawn again as outlined art: a line round every shape, thin or thick, with its colours or without.
            for kind, width, fill in (("outlined", 0.02, ""), ("outlined", 0.035, ""), ("line", 0.025, 'fill="#fff"')):
                pen = f'stroke="#000" stroke-width="{width * grid:.2f}" stroke-linejoin="round" stroke-linecap="round"'
                drawn = icons.svg(key, pen, margin=0.03 * grid)
                if fill:
                    drawn = re.sub(r'fill="(?!none)[^"]*"', fill, drawn)
                yield drawn, index, name, kind
    for name in MONOCHROME_EMOJI:
        icons = IconSet(folder, name)
        for index, thing in enumerate(things):
            if (svg := icons.svg(slug(thing["label"]))) is not None:
                yield svg, index, name, "monochrome"


def icon_tasks(folder, things):
    by_name = {slug(t["label"]): i for i, t in enumerate(things) if t["label"] not in AMBIGUOUS}
    for name in COLOUR_ICONS + MONOCHROME_ICONS:
        icons = IconSet(folder, name)
        kind = "colour" if name in COLOUR_ICONS else "monochrome"
        for icon in icons.names():
            words = [w for w in icon.split("-") if w not in DRAWING_STYLE]
            index = by_name.get("-".join(words))
            if index is not None:
                yield icons.svg(icon), index, name, kind


def clip_art_tasks(folder, things):
    by_name = {slug(t["label"]).replace("-", "_"): i for i, t in enumerate(things) if t["label"] not in AMBIGUOUS}
    for path in sorted((folder / "openclipart").rglob("*.svg")):
        words = path.stem.split("_")
        # Files are called THING_AUTHOR_NUMBER.
        for count in (2, 1):
            index = by_name.get("_".join(words[:count]))
            if index is not None and len(words) > count and path.stat().st_size < 400_000:
                yield path.read_text(errors="replace"), index, "openclipart", "colour"
                break


def font_pictures(folder, things):
    """Noto's monochrome emoji, which are single characters of a font that comes in slices."""
    from fontTools.ttLib import TTFont

    files = folder / "node_modules/@fontsource/noto-emoji/files"
    for weight in (300, 500, 700):
        seen = set()  # the slices overlap
        for path in sorted(files.glob(f"noto-emoji-*-{weight}-normal.woff")):
            known = TTFont(path).getBestCmap()
            font = None
            for index, thing in enumerate(things):
                text = thing["emoji"].replace("\ufe0f", "")
                if len(text) != 1 or ord(text) not in known or index in seen:
                    continue
                seen.add(index)
                font = font or ImageFont.truetype(str(path), 120)
                image = Image.new("RGBA", (220, 220), (0, 0, 0, 0))
                ImageDraw.Draw(image).text((30, 30), text, font=font, fill=(0, 0, 0, 255))
                if (square := fill_square(image)) is not None:
                    yield square, index, "noto-emoji", "monochrome"


def main():
    folder = Path(sys.argv[1])
    things = concepts(folder)
    tasks = [*emoji_tasks(folder, things), *icon_tasks(folder, things), *clip_art_tasks(folder, things)]
    with Pool() as pool:
        drawn = [r for r in pool.imap(render, tasks, chunksize=64) if r is not None]
    drawn += font_pictures(folder, things)
    print(f"{len(things)} concepts, {len(drawn)} pictures:", dict(collections.Counter((d[2], d[3]) for d in drawn)))
    np.save(folder / "art.npy", np.stack([d[0] for d in drawn]))
    art = [{"concept": d[1], "source": d[2], "kind": d[3]} for d in drawn]
    (folder / "art.json").write_text(json.dumps(art))
    (folder / "concepts.json").write_text(json.dumps(things, ensure_ascii=False))


if __name__ == "__main__":
    main()
