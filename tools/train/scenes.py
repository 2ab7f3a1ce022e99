"""Draws what no icon set has: shapes, charts, documents, tables, QR codes, maps, screens, patterns.

    scenes.py FOLDER

Adds `scenes.npy`, uint8 [pictures, 96, 96, 4], and `scenes.json`, each picture's name and kind, to FOLDER. Seeded.
"""

import json
import math
import random
import sys
from pathlib import Path

import numpy as np
import segno
from PIL import Image, ImageDraw

SIZE, FINE = 96, 3  # drawn three times as large, then reduced
SIDE = SIZE * FINE
EACH = 120


def polygon(corners, inner=None, turn=0.0):
    points = corners if inner is None else 2 * corners
    for k in range(points):
        r = SIDE * 0.47 * (inner if inner is not None and k % 2 else 1)
        angle = 2 * math.pi * k / points - math.pi / 2 + turn
        yield SIDE / 2 + r * math.cos(angle), SIDE / 2 + r * math.sin(angle)


def heart():
    for k in range(80):
        t = 2 * math.pi * k / 80
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        yield SIDE / 2 + x * SIDE / 36, SIDE / 2 - y * SIDE / 36


def box(width, height):
    return [((1 - width) / 2 * SIDE, (1 - height) / 2 * SIDE), ((1 + width) / 2 * SIDE, (1 + height) / 2 * SIDE)]


def corners_of(width, height):
    (left, top), (right, bottom) = box(width, height)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def plus(thick):
    a, b = (1 - thick) / 2 * SIDE, (1 + thick) / 2 * SIDE
    low, high = 0.04 * SIDE, 0.96 * SIDE
    return [(a, low), (b, low), (b, a), (high, a), (high, b), (b, b), (b, high), (a, high), (a, b), (low, b), (low, a), (a, a)]


def arrow(r):
    head, shaft = r.uniform(0.3, 0.5), r.uniform(0.15, 0.3)
    return [(x * SIDE, y * SIDE) for x, y in [(0.04, 0.5 - shaft / 2), (1 - head, 0.5 - shaft / 2), (1 - head, 0.15), (0.96, 0.5),
                                              (1 - head, 0.85), (1 - head, 0.5 + shaft / 2), (0.04, 0.5 + shaft / 2)]]


SHAPES = {
    "circle": lambda r: ("ellipse", box(0.94, 0.94)),
    "ellipse": lambda r: ("ellipse", box(0.94, r.uniform(0.45, 0.65))),
    "square": lambda r: ("polygon", corners_of(0.9, 0.9)),
    "rectangle": lambda r: ("polygon", corners_of(0.94, r.uniform(0.4, 0.65))),
    "triangle": lambda r: ("polygon", list(polygon(3))),
    "diamond": lambda r: ("polygon", list(polygon(4))),
    "pentagon": lambda r: ("polygon", list(polygon(5))),
    "hexagon": lambda r: ("polygon", list(polygon(6, turn=r.choice([0, math.pi / 6])))),
    "star": lambda r: ("polygon", list(polygon(5, r.uniform(0.38, 0.5)))),
    "heart": lambda r: ("polygon", list(heart())),
    "cross": lambda r: ("polygon", plus(r.uniform(0.2, 0.4))),
    "arrow": lambda r: ("polygon", arrow(r)),
}


def shape(draw_shape, r):
    """Black on nothing; data.py gives it its colour."""
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    form, points = draw_shape(r)
    width = r.choice([0, 0, 8, 14, 22])
    if form == "ellipse" and width:
        draw.ellipse(points, outline=(0, 0, 0, 255), width=width)
    elif form == "ellipse":
        draw.ellipse(points, fill=(0, 0, 0, 255))
    elif width:
        draw.line([*points, points[0], points[1]], fill=(0, 0, 0, 255), width=width, joint="curve")
    else:
        draw.polygon(points, fill=(0, 0, 0, 255))
    return image


def colour(r, low=0, high=255):
    return tuple(r.randint(low, high) for _ in range(3))


def paper(r):
    light = r.random() < 0.8
    return (colour(r, 225, 255), colour(r, 0, 90)) if light else (colour(r, 10, 50), colour(r, 170, 255))


def axes(draw, ink, r):
    draw.line([(36, 24), (36, SIDE - 36), (SIDE - 20, SIDE - 36)], fill=ink, width=r.choice([3, 5]))


def bar_chart(draw, ground, ink, r):
    axes(draw, ink, r)
    count, one = r.randint(3, 8), colour(r)
    step = (SIDE - 70) / count
    for k in range(count):
        x = 44 + k * step
        draw.rectangle([x, SIDE - 38 - r.uniform(20, SIDE - 80), x + step * 0.7, SIDE - 38], fill=one if r.random() < 0.6 else colour(r))


def line_chart(draw, ground, ink, r):
    axes(draw, ink, r)
    count = r.randint(5, 14)
    for _ in range(r.randint(1, 3)):
        y, points = r.uniform(60, 200), []
        for k in range(count):
            y = min(max(y + r.gauss(0, 26), 30), SIDE - 50)
            points.append((40 + k * (SIDE - 70) / (count - 1), y))
        draw.line(points, fill=colour(r, 0, 220), width=r.choice([5, 8]), joint="curve")


def scatter_plot(draw, ground, ink, r):
    axes(draw, ink, r)
    one, slope = colour(r, 0, 220), r.uniform(-1, 1)
    for _ in range(r.randint(15, 50)):
        x = r.uniform(45, SIDE - 30)
        y = min(max(SIDE / 2 + slope * (x - SIDE / 2) + r.gauss(0, 40), 25), SIDE - 45)
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=one)


def pie_chart(draw, ground, ink, r):
    start, area = r.uniform(0, 360), [20, 20, SIDE - 20, SIDE - 20]
    parts = [r.uniform(0.3, 1) for _ in range(r.randint(3, 6))]
    for part in parts:
        end = start + 360 * part / sum(parts)
        draw.pieslice(area, start, end, fill=colour(r), outline=ground, width=3)
        start = end
    if r.random() < 0.3:
        draw.ellipse([90, 90, SIDE - 90, SIDE - 90], fill=ground)


def document(draw, ground, ink, r):
    y = 22
    draw.rectangle([24, y, r.uniform(110, 240), y + 14], fill=ink)
    y += 34
    while y < SIDE - 20:
        end = SIDE - 24 if r.random() < 0.75 else r.uniform(80, 220)
        x = 24.0
        while x < end:
            word = r.uniform(8, 34)
            draw.rectangle([x, y, min(x + word, end), y + 5], fill=ink)
            x += word + 6
        y += 13 if r.random() < 0.85 else 26


def table(draw, ground, ink, r):
    rows, columns = r.randint(4, 9), r.randint(3, 6)
    high, wide = (SIDE - 30) / rows, (SIDE - 30) / columns
    draw.rectangle([15, 15, SIDE - 15, 15 + high], fill=colour(r, 90, 220))
    for i in range(rows + 1):
        draw.line([(15, 15 + i * high), (SIDE - 15, 15 + i * high)], fill=ink, width=2)
    for j in range(columns + 1):
        draw.line([(15 + j * wide, 15), (15 + j * wide, SIDE - 15)], fill=ink, width=2)
    for i in range(rows):
        for j in range(columns):
            x, y = 15 + j * wide, 15 + i * high
            draw.rectangle([x + 8, y + high / 2 - 3, x + wide * r.uniform(0.4, 0.85), y + high / 2 + 3], fill=ink)


def qr_code(draw, ground, ink, r):
    cells = [list(row) for row in segno.make("".join(r.choices("ABCDEFGHKLMNPQR0123456789/:.", k=r.randint(8, 70))), micro=False).matrix]
    step = (SIDE - 40) / len(cells)
    for i, row in enumerate(cells):
        for j, dark in enumerate(row):
            if dark:
                draw.rectangle([20 + j * step, 20 + i * step, 20 + (j + 1) * step - 0.5, 20 + (i + 1) * step - 0.5], fill=ink)


def barcode(draw, ground, ink, r):
    x = 20.0
    while x < SIDE - 24:
        bar = r.choice([3, 3, 6, 9])
        draw.rectangle([x, 40, x + bar, SIDE - 70], fill=ink)
        x += bar + r.choice([3, 3, 6, 9])
    for x in range(30, SIDE - 30, 20):
        draw.rectangle([x, SIDE - 56, x + 9, SIDE - 40], fill=ink)


def road_map(draw, ground, ink, r):
    draw.rectangle([0, 0, SIDE, SIDE], fill=(r.randint(225, 245), r.randint(225, 240), r.randint(205, 230)))
    for _ in range(r.randint(1, 3)):
        x, y, w = r.uniform(0, SIDE), r.uniform(0, SIDE), r.uniform(60, 140)
        draw.ellipse([x - w, y - w / 2, x + w, y + w / 2], fill=(170, 215, 160) if r.random() < 0.6 else (150, 200, 235))
    for _ in range(r.randint(6, 14)):
        across, level, slant = r.random() < 0.5, r.uniform(0, SIDE), r.gauss(0, 50)
        points = [(0, level), (SIDE, level + slant)] if across else [(level, 0), (level + slant, SIDE)]
        draw.line(points, fill=(250, 215, 120) if r.random() < 0.3 else (255, 255, 255), width=r.choice([6, 8, 14]))
    x, y = r.uniform(80, SIDE - 80), r.uniform(90, SIDE - 60)
    draw.polygon([(x, y), (x - 18, y - 36), (x + 18, y - 36)], fill=(220, 50, 50))
    draw.ellipse([x - 20, y - 60, x + 20, y - 20], fill=(220, 50, 50))


def screenshot(draw, ground, ink, r):
    accent = colour(r, 30, 220)
    draw.rectangle([0, 0, SIDE, 34], fill=accent)
    for k in range(3):
        draw.ellipse([12 + 22 * k, 10, 26 + 22 * k, 24], fill=(255, 255, 255))
    side = r.random() < 0.5
    if side:
        draw.rectangle([0, 34, 70, SIDE], fill=tuple(max(0, c - 25) for c in ground))
        for y in range(50, SIDE - 20, 26):
            draw.rectangle([10, y, 58, y + 8], fill=ink)
    y = 50
    while y < SIDE - 50:
        left, kind = (84 if side else 20), r.random()
        if kind < 0.35:
            draw.rounded_rectangle([left, y, SIDE - 20, y + 44], 8, outline=ink, width=3)
            y += 58
        elif kind < 0.6:
            draw.rounded_rectangle([left, y, left + r.uniform(50, 110), y + 26], 10, fill=accent)
            y += 40
        else:
            draw.rectangle([left, y, r.uniform(left + 60, SIDE - 20), y + 8], fill=ink)
            y += 20


def checkerboard(draw, ground, ink, r):
    step = r.randint(18, 48)
    for i in range(0, SIDE, step):
        for j in range(0, SIDE, step):
            if (i // step + j // step) % 2:
                draw.rectangle([i, j, i + step - 1, j + step - 1], fill=ink)


def stripes(draw, ground, ink, r):
    step, slant = r.randint(16, 50), r.choice([0, SIDE, -SIDE, None])
    for x in range(-SIDE, 2 * SIDE, 2 * step):
        if slant is None:
            draw.rectangle([0, x, SIDE, x + step], fill=ink)
        else:
            draw.polygon([(x, 0), (x + step, 0), (x + step + slant, SIDE), (x + slant, SIDE)], fill=ink)


def polka_dots(draw, ground, ink, r):
    step, size = r.randint(30, 70), r.uniform(0.2, 0.38)
    for row, y in enumerate(range(0, SIDE + step, step)):
        for x in range(-step, SIDE + step, step):
            cx = x + (step / 2 if row % 2 else 0)
            draw.ellipse([cx - size * step, y - size * step, cx + size * step, y + size * step], fill=ink)


def spiral(draw, ground, ink, r):
    turns, way = r.uniform(2.5, 5), r.choice([-1, 1])
    points = [(SIDE / 2 + SIDE * 0.46 * k / 300 * math.cos(way * turns * 2 * math.pi * k / 300),
               SIDE / 2 + SIDE * 0.46 * k / 300 * math.sin(way * turns * 2 * math.pi * k / 300)) for k in range(300)]
    draw.line(points, fill=ink, width=r.choice([6, 10, 14]), joint="curve")


SCENES = {"bar chart": bar_chart, "line chart": line_chart, "scatter plot": scatter_plot, "pie chart": pie_chart, "document": document,
          "table": table, "qr code": qr_code, "barcode": barcode, "map": road_map, "screenshot": screenshot,
          "checkerboard": checkerboard, "stripes": stripes, "polka dots": polka_dots, "spiral": spiral}


def scene(draw_scene, r):
    ground, ink = paper(r)
    if draw_scene in (checkerboard, stripes, polka_dots) or r.random() < 0.15:
        ground, ink = colour(r, 120, 255), colour(r, 0, 130)
    image = Image.new("RGBA", (SIDE, SIDE), (*ground, 255))
    draw_scene(ImageDraw.Draw(image), ground, ink, r)
    return image


def main():
    folder, r = Path(sys.argv[1]), random.Random(0)
    pictures, names = [], []
    for kind, group, drawer in (("monochrome", SHAPES, shape), ("scene", SCENES, scene)):
        for name, what in group.items():
            for _ in range(EACH):
                pictures.append(np.asarray(drawer(what, r).resize((SIZE, SIZE), Image.LANCZOS)))
                names.append({"label": name, "kind": kind})
    np.save(folder / "scenes.npy", np.stack(pictures))
    (folder / "scenes.json").write_text(json.dumps(names))


if __name__ == "__main__":
    main()
