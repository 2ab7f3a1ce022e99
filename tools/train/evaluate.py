"""Draws what the model is measured on: FOLDER/evaluation/, pictures and manifests for `ocelli eval` and `ocelli recall`.

    evaluate.py FOLDER

FOLDER is art.py's. The manifests (docs/EVALUATION.md):

    openmoji.json and others   all plain names at once, in the held-out style and in some trained ones
    captions.json              retrieval both ways over the held-out style
    colours.json               a thing of one colour, in pairs of thing and colour that training leaves out
    sides.json                 one thing to the left or the right of another, in pairs that training leaves out
    counts.json                two to five of a thing, in numbers that training leaves out
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image

TRAINED = ["noto", "twemoji", "fluent-emoji-flat"]
SIDE = 240  # larger than what the model sees, so that its preprocessing is measured too
THINGS = 60  # of each kind of combination


def draw_manifests(folder):
    import data
    from names import COLOUR_NAMES, COLOURS, EVALUATION, NUMBERS, Names, plural

    names, out, r = Names(folder), folder / "evaluation", random.Random(0)
    out.mkdir(exist_ok=True)
    art = json.loads((folder / "art.json").read_text())
    pixels = np.load(folder / "art.npy", mmap_mode="r")
    plain = set(names.plain)
    styles = {s: {a["concept"]: pixels[i] for i, a in enumerate(art) if a["source"] == s and a["kind"] == "colour" and a["concept"] in plain}
              for s in (data.HELD_OUT, *TRAINED)}

    def picture(path, placed):
        """Drawings on white: RGBA, left, top, size, each in parts of the picture."""
        image = Image.new("RGB", (SIDE, SIDE), "white")
        for rgba, left, top, size in placed:
            drawing = Image.fromarray(np.asarray(rgba)).resize((round(size * SIDE),) * 2, Image.LANCZOS)
            image.paste(drawing, (round(left * SIDE), round(top * SIDE)), drawing)
        path.parent.mkdir(exist_ok=True)
        image.save(path)

    def manifest(name, templates, labelled, classes):
        pictures = [{"file": f, "class": c} for f, c in labelled]
        content = {"images": ".", "templates": templates, "classes": [{"name": c} for c in classes], "pictures": pictures}
        (out / f"{name}.json").write_text(json.dumps(content, indent=1))
        print(f"{name}: {len(pictures)} pictures, {len(classes)} classes")

    label = names.labels
    for style, drawings in styles.items():
        for concept, rgba in drawings.items():
            picture(out / style / f"{concept}.png", [(rgba, 0.08, 0.08, 0.84)])
        manifest(style, EVALUATION, [(f"{style}/{c}.png", label[c]) for c in drawings], [label[c] for c in names.plain])
    held_out = styles[data.HELD_OUT]
    captions = [{"file": f"{data.HELD_OUT}/{c}.png", "captions": [f"a picture of a {label[c]}"]} for c in held_out]
    (out / "captions.json").write_text(json.dumps({"images": ".", "pictures": captions}, indent=1))

    some = r.sample(sorted(held_out), THINGS)
    labelled = []
    for c in some:
        for k, name in enumerate(COLOUR_NAMES):
            if name != "white" and data.never("tint", c, k):
                rgba = np.array(held_out[c])
                light = rgba[..., :3].mean(2, keepdims=True) / 255
                ink = np.array(COLOURS[name]) / 255
                rgba[..., :3] = (ink + (1 - ink) * light * 0.85) * 255  # as data.py does
                picture(out / "colours" / f"{c}-{name}.png", [(rgba, 0.08, 0.08, 0.84)])
                labelled.append((f"colours/{c}-{name}.png", f"{name} {label[c]}"))
    manifest("colours", ["a {}"], labelled, [f"{name} {label[c]}" for c in some for name in COLOUR_NAMES if name != "white"])

    labelled, classes = [], []
    for a, b in ((r.choice(some), r.choice(some)) for _ in range(40 * THINGS)):
        texts = [f"a {label[x]} to the left of a {label[y]}" for x, y in ((a, b), (b, a))]
        if a == b or texts[0] in classes or not (data.never("pair", a, b) and data.never("pair", b, a)) or len(labelled) >= 2 * THINGS:
            continue
        for (x, y), text in zip(((a, b), (b, a)), texts):
            picture(out / "sides" / f"{x}-{y}.png", [(held_out[x], 0.04, 0.28, 0.44), (held_out[y], 0.52, 0.28, 0.44)])
            labelled.append((f"sides/{x}-{y}.png", text))
            classes.append(text)
    manifest("sides", ["{}"], labelled, classes)

    labelled = []
    for c in some:
        for count in range(2, 6):
            if data.never("count", c, count):
                grid = 2 if count < 5 else 3
                places = r.sample(range(grid * grid), count)
                placed = [(held_out[c], (p % grid + 0.08) / grid, (p // grid + 0.08) / grid, 0.84 / grid) for p in places]
                picture(out / "counts" / f"{c}-{count}.png", placed)
                labelled.append((f"counts/{c}-{count}.png", f"{NUMBERS[count]} {plural(label[c])}"))
    manifest("counts", ["{}"], labelled, [f"{NUMBERS[n]} {plural(label[c])}" for c in some for n in range(2, 6)])


if __name__ == "__main__":
    draw_manifests(Path(sys.argv[1]))
