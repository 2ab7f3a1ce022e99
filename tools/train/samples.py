"""Draws the page's sample pictures: drawings of the held-out style, on white, not square, in 64 colours.

    samples.py FOLDER OUT NAME...
"""

import io
import sys
from pathlib import Path

import resvg_py
from PIL import Image

from art import HELD_OUT, IconSet, slug

WIDTH, HEIGHT, DRAWN = 480, 432, 400


def main():
    folder, out, *names = sys.argv[1:]
    icons = IconSet(Path(folder), HELD_OUT)
    for name in names:
        png = resvg_py.svg_to_bytes(svg_string=icons.svg(slug(name)), width=DRAWN, skip_system_fonts=True)
        drawing = Image.open(io.BytesIO(png)).convert("RGBA")
        image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        image.paste(drawing, ((WIDTH - drawing.width) // 2, (HEIGHT - drawing.height) // 2), drawing)
        image.quantize(64, dither=Image.Dither.NONE).save(Path(out) / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
