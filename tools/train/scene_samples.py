"""Draws scenes of Noto's emoji that no training has seen, for the page and for tests: `scene_samples.py FOLDER OUT SEED...`.

Writes OUT/scene-SEED.png for each seed, and prints what is in it as JSON: the name and the box of each thing, in pixels.
"""

import json
import sys
from pathlib import Path

from PIL import Image

import scene_evaluation
from names import Names
from truth import KNOWN, World

SIDE, VARIED = 480, 0.5
SOURCE = "noto"  # Apache 2.0
FIRST = 10**9  # seeds from here on are those of no training


def main():
    folder, out, *seeds = sys.argv[1:]
    names = Names(folder)
    world = World(Path(folder), names, SIDE, 1, sources=[SOURCE], kinds=("colour",), padded=True)
    world.know(KNOWN)
    scene_evaluation.SIDE = SIDE
    for seed in map(int, seeds):
        image, _, picture = scene_evaluation.cut(*(batch[0] for batch in world.batch(FIRST + seed, VARIED)))
        image.quantize(128, dither=Image.Dither.NONE).save(Path(out) / f"scene-{seed}.png", optimize=True)
        things = []
        for t in picture.things:
            top, left, bottom, right = (round(e * side) for e, side in zip(t.box, (image.height, image.width) * 2))
            things.append({"name": names.labels[t.concept], "box": [left, top, right - left, bottom - top]})
        print(json.dumps({"image": f"scene-{seed}.png", "clear": picture.clear, "things": things}))


if __name__ == "__main__":
    main()
