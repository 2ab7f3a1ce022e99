"""Makes batches: pictures of things on grounds, captions, and which caption is true of which picture.

What is true is known, because the pictures are made: things, their order, number and colour, and the colour of the ground.
"""

import json
import math
import zlib
from pathlib import Path

import numba
import numpy as np
import torch
import torch.nn.functional as F

from names import COLOUR_NAMES, COLOURS, MANY, NUMBERS, TEMPLATES, Names, plural

HELD_OUT = "openmoji"
RGB = np.array(list(COLOURS.values()), np.float32) / 255
# How often each way of drawing is shown.
KINDS = {"colour": 0.4, "outlined": 0.32, "line": 0.08, "monochrome": 0.2}
ONE, PAIR, COUNT = range(3)
LABEL, TAG, GROUND, TINT, AND, BESIDE, OVER, NUMBER = range(8)
UNKNOWN = -1


def never(*parts):
    """Combinations that are kept for the evaluation: one in five."""
    return zlib.crc32("|".join(map(str, parts)).encode()) % 5 == 0


def load(folder, side, held_out=False, wanted=None):
    """Pictures as uint8 [n, side, side, 4], premultiplied, and what each shows. `wanted` limits the names that no shape or scene has."""
    folder, about, arrays = Path(folder), [], []
    art = json.loads((folder / "art.json").read_text())
    keep = [i for i, a in enumerate(art) if (a["source"] == HELD_OUT) == held_out and (wanted is None or a["concept"] in wanted)]
    arrays.append(np.load(folder / "art.npy", mmap_mode="r")[keep])
    about += [art[i] for i in keep]
    if not held_out:
        numbers = Names(folder).number
        drawn = json.loads((folder / "scenes.json").read_text())
        arrays.append(np.load(folder / "scenes.npy"))
        about += [{"concept": numbers[d["label"]], "source": "drawn", "kind": d["kind"]} for d in drawn]
    return np.concatenate([shrink(a, side) for a in arrays]), about


def shrink(art, side):
    """To premultiplied colours (so that edges and averages are right) and the given side."""
    out = np.empty((len(art), side, side, 4), np.uint8)
    for k in range(0, len(art), 512):
        x = torch.from_numpy(art[k : k + 512]).permute(0, 3, 1, 2).float()
        x = torch.cat([x[:, :3] * x[:, 3:] / 255, x[:, 3:]], 1)
        if art.shape[1] != side:
            x = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
        out[k : k + 512] = x.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return out


class Maker:
    """Batches of `size` pictures with side `side`; the first `captioned` of them have a caption each, and near misses are added.
    Drawings are `fine` pixels wide: as many as the picture, if nothing is said. The rest is `load`'s."""

    def __init__(self, folder, names, side, size, captioned=0, fine=None, held_out=False, wanted=None):
        self.art, self.about = load(folder, fine or side, held_out, wanted)
        self.names, self.side, self.size, self.captioned = names, side, size, captioned
        self.pictures = {}
        for i, a in enumerate(self.about):
            self.pictures.setdefault(a["concept"], {}).setdefault(a["kind"], []).append(i)
        self.things = np.array(sorted(self.pictures))
        plain = set(names.plain)
        # Plain nouns first; of the rest, things more often than faces and symbols.
        weight = np.array([1.0 if i in plain else 0.6 if names.groups[i] == -1 else 0.3 if names.groups[i] in (3, 4, 5, 6, 7) else 0.08
                           for i in self.things])
        self.weight = weight / weight.sum()
        self.scenes = {i for i, kinds in self.pictures.items() if set(kinds) == {"scene"}}
        self.tags = sorted({t for ts in names.tags for t in ts})
        self.tag_number = {t: k for k, t in enumerate(self.tags)}
        self.has_tag = np.zeros((len(self.tag_number), len(names.labels)), bool)
        for i, tags in enumerate(names.tags):
            self.has_tag[[self.tag_number[t] for t in tags], i] = True
        # A tag that names another thing of the list is true of that thing too ("fish" of "fish").
        for t, k in self.tag_number.items():
            if t in names.number:
                self.has_tag[k, names.number[t]] = True

    def choose(self, r, concept):
        kinds = self.pictures[concept]
        weights = np.array([KINDS.get(k, 1.0) for k in kinds])
        kind = list(kinds)[r.choice(len(kinds), p=weights / weights.sum())]
        return kinds[kind][r.integers(len(kinds[kind]))], kind

    def batch(self, seed, strength=1.0):
        """Everything follows from the seed, so that a run can be resumed at any step. Strength 0: plain nouns, upright, filling a
        white picture, in their own colours; 1: everything."""
        self.strength = strength
        r = np.random.default_rng(seed % 2**32)
        g = torch.Generator().manual_seed(seed % 2**32)
        scenes = self.plan(r)
        pixels = self.paint(scenes, r, g)
        captions = [self.caption(r, scenes, m) for m in range(self.captioned)]
        captions += [c for c in (self.near_miss(r, c) for c in captions) if c][: self.captioned // 4]
        return pixels, [c["text"] for c in captions], self.truth(scenes, captions), self.targets(scenes, captions)

    def things_of(self, r, size):
        weight = np.where(self.weight == self.weight.max(), self.weight, self.weight * self.strength)
        return r.choice(self.things, size, p=weight / weight.sum())

    def plan(self, r):
        """What each picture shows: arrays over the batch."""
        size = self.size
        s = {"layout": np.full(size, ONE), "first": self.things_of(r, size), "second": np.full(size, -1),
             "count": np.ones(size, int), "over": r.random(size) < 0.4, "tint": np.full(size, UNKNOWN), "ground": np.full(size, UNKNOWN)}
        kinds = r.random(size) / max(self.strength, 1e-6)
        for m in range(size):
            one = s["first"][m]
            if one in self.scenes:
                continue
            if kinds[m] < 0.13:
                other = r.choice(self.things, p=self.weight)
                if other != one and other not in self.scenes and not never("pair", one, other):
                    s["layout"][m], s["second"][m] = PAIR, other
            elif kinds[m] < 0.22:
                count = r.integers(2, 6)
                if not never("count", one, count):
                    s["layout"][m], s["count"][m] = COUNT, count
        return s

    def paint(self, s, r, g):
        """Pixels [B, 3, side, side] in -1 to 1."""
        size = self.size
        sprites = []  # drawing, centre, size, by picture
        owner = []
        inks = np.full((size, 3), -1, np.float32)
        for m in range(size):
            one = s["first"][m]
            drawing, kind = self.choose(r, one)
            if kind == "monochrome" or (kind in ("colour", "line") and r.random() < 0.12 * self.strength):
                colour = r.integers(len(COLOUR_NAMES))
                named = r.random() < 0.5 * self.strength and s["layout"][m] != PAIR and not never("tint", one, colour)
                s["tint"][m] = colour if named else UNKNOWN
                base = RGB[colour] if named else r.random(3) * r.choice([0.15, 1.0]) * self.strength
                inks[m] = np.clip(base + r.normal(0, 0.03, 3), 0, 1)
            if s["layout"][m] == ONE:
                shown = 1.0 if kind == "scene" else r.uniform(0.85 - 0.35 * self.strength, 1.0)
                room = ((1 - shown) + 0.06) * self.strength
                placed = [(drawing, r.uniform(-room, room), r.uniform(-room, room), shown)]
            elif s["layout"][m] == PAIR:
                along, placed = 0.5 + r.uniform(-0.06, 0.06), []
                for thing, way in ((drawing, -1), (self.choose(r, s["second"][m])[0], 1)):
                    across = r.uniform(-0.4, 0.4)
                    x, y = (across, way * along) if s["over"][m] else (way * along, across)
                    placed.append((thing, x, y, r.uniform(0.36, 0.5)))
            else:
                grid, shown = (2, r.uniform(0.34, 0.48)) if s["count"][m] < 5 else (3, r.uniform(0.26, 0.33))
                placed = [(drawing, (p % grid + 0.5) / grid * 2 - 1 + r.normal(0, 0.03), (p // grid + 0.5) / grid * 2 - 1 + r.normal(0, 0.03), shown)
                          for p in r.permutation(grid * grid)[: s["count"][m]]]
            sprites += placed
            owner += [m] * len(placed)
        image = self.grounds(s, inks, r, g)
        starts = np.searchsorted(owner, np.arange(size + 1))
        placed = np.array([p[1:] for p in sprites], np.float32)
        affine, wave = place(r, placed[:, :2], placed[:, 2:].repeat(2, 1), self.strength)
        mix = np.eye(3) + np.where(r.random((size, 1, 1)) < 0.5 * self.strength, r.normal(0, 0.2, (size, 3, 3)), 0)
        mix = (mix / np.maximum(mix.sum(2, keepdims=True), 0.4)).astype(np.float32)
        light = np.stack([r.uniform(0.8, 1.15, size), r.uniform(-0.08, 0.08, size)], 1).astype(np.float32)
        owners = np.zeros((size, *image.shape[2:]), np.uint8)
        draw(image, owners, (self.art,), np.zeros(len(sprites), np.int64), starts, np.array([p[0] for p in sprites]), affine, wave, mix, inks[owner], light)
        return torch.from_numpy(image)

    def grounds(self, s, inks, r, g):
        """White, one colour, named or not, a slow gradient, or noise; light behind dark ink and dark behind light."""
        n, side = self.size, self.side
        flat = r.random((n, 3), np.float32)
        flat[r.random(n) < 1 - 0.65 * self.strength] = 1.0
        lightness, inked = inks.mean(1), inks[:, 0] >= 0
        near = inked & (np.abs(flat.mean(1) - lightness) < 0.3)
        flat[near] = np.where(lightness[near] < 0.5, 1.0, 0.05)[:, None]
        for m in np.flatnonzero(r.random(n) < 0.16 * self.strength):
            colour = r.integers(len(COLOUR_NAMES))
            clash = inked[m] and np.abs(RGB[colour] - inks[m]).sum() < 0.6
            if clash or s["first"][m] in self.scenes or never("ground", s["first"][m], colour):
                continue
            s["ground"][m] = colour
            flat[m] = np.clip(RGB[colour] + r.normal(0, 0.03, 3), 0, 1)
        image = np.broadcast_to(flat[:, :, None, None], (n, 3, side, side)).copy()
        kind, free = r.random(n), (s["ground"] == UNKNOWN) & ~near
        stretch = dict(size=(side, side), mode="bilinear", align_corners=False)
        slow = np.flatnonzero(free & (kind < 0.2 * self.strength))
        image[slow] = F.interpolate(torch.rand(len(slow), 3, 3, 3, generator=g), **stretch).numpy()
        rough = np.flatnonzero(free & (kind > 1 - 0.13 * self.strength))
        for fine, strength in ((4, 0.7), (12, 0.5), (40, 0.4)):
            image[rough] += (F.interpolate(torch.rand(len(rough), 3, fine, fine, generator=g) - 0.5, **stretch) * strength).numpy()
        return np.clip(image, 0, 1, out=image)

    def caption(self, r, s, m):
        """One true sentence about picture m."""
        one, layout, label = s["first"][m], s["layout"][m], self.names.labels
        if layout == PAIR:
            two = s["second"][m]
            if r.random() < 0.25:
                return self.say(LABEL, r.choice([one, two]), r=r)
            if r.random() < 0.35:
                a, b = (one, two) if r.random() < 0.5 else (two, one)
                return self.say(AND, a, b)
            return self.say(OVER if s["over"][m] else BESIDE, one, two, turned=r.random() < 0.5)
        if layout == COUNT and r.random() < 0.85:
            return self.say(NUMBER, one, extra=int(s["count"][m]), r=r)
        if s["tint"][m] >= 0 and r.random() < 0.7:
            return self.say(TINT, one, extra=int(s["tint"][m]), r=r)
        if s["ground"][m] >= 0 and r.random() < 0.8:
            return self.say(GROUND, one, extra=int(s["ground"][m]), r=r)
        if self.names.tags[one] and r.random() < 0.18:
            return self.say(TAG, self.tag_number[r.choice(self.names.tags[one])], r=r)
        if layout == ONE and r.random() < 0.03:
            return self.say(NUMBER, one, extra=1, r=r)
        return self.say(LABEL, one, r=r)

    def say(self, kind, a, b=-1, extra=-1, turned=False, r=None):
        label = self.names.labels
        if kind in (LABEL, TAG):
            word = label[a] if kind == LABEL else self.tags[a]
            text = TEMPLATES[r.integers(len(TEMPLATES))].format(word)
        elif kind == GROUND:
            text = ["{} on a {} background", "a {} on {}", "{}, {} background", "a picture of a {} on a {} background"][r.integers(4)]
            text = text.format(label[a], COLOUR_NAMES[extra])
        elif kind == TINT:
            text = ["a {} {}", "{} {}", "a picture of a {} {}", "a {} {} icon"][r.integers(4)].format(COLOUR_NAMES[extra], label[a])
        elif kind == NUMBER:
            noun = label[a] if extra == 1 else plural(label[a])
            text = MANY[r.integers(len(MANY) - 1 if extra == 1 else len(MANY))].format(NUMBERS[extra], noun)
        elif kind == AND:
            text = f"a {label[a]} and a {label[b]}"
        else:
            words = ("to the left of", "to the right of") if kind == BESIDE else ("above", "below")
            text = f"a {label[b]} {words[1]} a {label[a]}" if turned else f"a {label[a]} {words[0]} a {label[b]}"
        return {"kind": kind, "a": int(a), "b": int(b), "extra": extra, "text": text}

    def near_miss(self, r, c):
        """A caption like this one that says something else: the order turned round, another number, another colour."""
        kind, a, b, extra = c["kind"], c["a"], c["b"], c["extra"]
        if kind in (BESIDE, OVER):
            return self.say(kind, b, a, turned=r.random() < 0.5)
        if kind == NUMBER:
            return self.say(kind, a, extra=int(r.choice([n for n in NUMBERS if n != extra])), r=r)
        if kind in (TINT, GROUND):
            return self.say(kind, a, extra=int(r.choice([k for k in range(len(COLOUR_NAMES)) if k != extra])), r=r)
        return None

    def truth(self, s, captions):
        """[pictures, captions]: 1 true, -1 false, 0 not known."""
        first, second = s["first"][:, None], s["second"][:, None]
        kind, a, b, extra = (np.array([c[k] for c in captions])[None] for k in ("kind", "a", "b", "extra"))
        shows = (first == a) | (second == a)
        tag = kind == TAG
        if tag.any():
            tags = self.has_tag[np.where(tag, a, 0)[0]]
            tagged = tags[:, s["first"]].T | (tags[:, s["second"]].T & (second >= 0))
            shows = np.where(tag, tagged, shows)
        true = np.where(kind <= TAG, shows, False)
        unknown = np.zeros_like(true)
        for about, name in ((GROUND, "ground"), (TINT, "tint")):
            value, this = s[name][:, None], kind == about
            true |= this & shows & (value == extra)
            unknown |= this & shows & (value == UNKNOWN)
        true |= (kind == NUMBER) & shows & (s["count"][:, None] == extra)
        both = (first == a) & (second == b)
        true |= (kind == AND) & (both | ((first == b) & (second == a)))
        over = s["over"][:, None]
        true |= (kind == BESIDE) & both & ~over
        true |= (kind == OVER) & both & over
        return torch.from_numpy(np.where(unknown, 0, np.where(true, 1, -1)).astype(np.float32))

    def targets(self, s, captions):
        """Distributions over concepts, of pictures and of captions."""
        n = len(self.names.labels)
        pictures, texts = torch.zeros(self.size, n), torch.zeros(len(captions), n)
        pictures[torch.arange(self.size), torch.from_numpy(s["first"])] += 1
        pair = np.flatnonzero(s["second"] >= 0)
        pictures[pair, s["second"][pair]] += 1
        for row, c in zip(texts, captions):
            row[np.flatnonzero(self.has_tag[c["a"]]) if c["kind"] == TAG else [c["a"]] + ([c["b"]] if c["b"] >= 0 else [])] = 1
        return pictures / pictures.sum(1, keepdim=True), texts / texts.sum(1, keepdim=True)


def place(r, centres, sizes, strength):
    """How sprites lie, from their centres [n, 2] and half sides [n, 2] in a picture that goes from -1 to 1: the affine map from a place
    in the picture to the place in the drawing, and the wave that bends the drawing."""
    count = len(centres)
    angle, flip = r.normal(0, 0.14 * strength, count), np.where(r.random(count) < 0.4, -1.0, 1.0)
    wide, high = flip / r.uniform(0.88, 1.14, count), 1 / r.uniform(0.88, 1.14, count)
    c, sn = np.cos(angle), np.sin(angle)
    x, y = 1 / sizes.T
    px, py = centres.T
    affine = np.stack([wide * c * x, -wide * sn * y, -wide * (c * px * x - sn * py * y),
                       high * sn * x, high * c * y, -high * (sn * px * x + c * py * y)], 1).astype(np.float32)
    # A slow wave along each side: height, radians across the picture, phase.
    wave = np.stack([r.normal(0, 0.07 * strength, (count, 2)), r.uniform(1, 4, (count, 2)), r.uniform(0, 2 * math.pi, (count, 2))], 2)
    return affine, wave.astype(np.float32)


@numba.njit(parallel=True, fastmath=True, cache=True)
def draw(image, owners, art, levels, starts, drawings, affine, wave, mix, inks, light):
    """Draws every picture's sprites over its ground, in place, bilinear; then its light, and the range -1 to 1.

    `art` are the drawings in one or several sizes, of which `levels` says which one each sprite takes. In `owners`, uint8
    [pictures, side, side], is then 1 + the number of the sprite that covers a pixel by more than half, 0 where none does. Returned: how
    many pixels each sprite would have if nothing lay on it."""
    side = image.shape[2]
    covered = np.zeros(len(drawings), np.int64)
    for m in numba.prange(image.shape[0]):
        for k in range(starts[m], starts[m + 1]):
            a, rgba, bend = affine[k], art[levels[k]][drawings[k]], np.empty((2, side), np.float32)
            fine = rgba.shape[0]
            for d in range(2):
                for i in range(side):
                    bend[d, i] = wave[k, d, 0] * math.sin(wave[k, d, 1] * ((2 * i + 1) / side - 1) + wave[k, d, 2])
            # The rectangle outside of which nothing of it can be.
            area = abs(a[0] * a[4] - a[1] * a[3])
            turned = a[0] * a[4] - a[1] * a[3]
            cx, cy = (a[1] * a[5] - a[4] * a[2]) / turned, (a[3] * a[2] - a[0] * a[5]) / turned
            most = (1 + 2 / fine + abs(wave[k, 0, 0]), 1 + 2 / fine + abs(wave[k, 1, 0]))
            rx = (abs(a[4]) * most[0] + abs(a[1]) * most[1]) / area
            ry = (abs(a[3]) * most[0] + abs(a[0]) * most[1]) / area
            for i in range(max(0, int((cy - ry + 1) * side / 2)), min(side, int((cy + ry + 1) * side / 2) + 1)):
                v = (2 * i + 1) / side - 1
                for j in range(max(0, int((cx - rx + 1) * side / 2)), min(side, int((cx + rx + 1) * side / 2) + 1)):
                    u = (2 * j + 1) / side - 1
                    x = ((a[0] * u + a[1] * v + a[2] + bend[0, i]) + 1) * fine / 2 - 0.5
                    y = ((a[3] * u + a[4] * v + a[5] + bend[1, j]) + 1) * fine / 2 - 0.5
                    if x <= -1 or y <= -1 or x >= fine or y >= fine:
                        continue
                    left, top = int(math.floor(x)), int(math.floor(y))
                    fx, fy = x - left, y - top
                    red = green = blue = alpha = 0.0
                    for dy in range(2):
                        for dx in range(2):
                            p, q = top + dy, left + dx
                            if 0 <= p < fine and 0 <= q < fine:
                                w = (fx if dx else 1 - fx) * (fy if dy else 1 - fy) / 255
                                red += w * rgba[p, q, 0]
                                green += w * rgba[p, q, 1]
                                blue += w * rgba[p, q, 2]
                                alpha += w * rgba[p, q, 3]
                    if alpha <= 0:
                        continue
                    if alpha > 0.5:
                        owners[m, i, j] = 1 + k - starts[m]
                        covered[k] += 1
                    if inks[k, 0] >= 0:  # black becomes the colour; what is light stays lighter
                        bright = 0.85 * (red + green + blue) / 3
                        red = inks[k, 0] * alpha + (1 - inks[k, 0]) * bright
                        green = inks[k, 1] * alpha + (1 - inks[k, 1]) * bright
                        blue = inks[k, 2] * alpha + (1 - inks[k, 2]) * bright
                    else:
                        r, g, b = red, green, blue
                        red = min(max(mix[m, 0, 0] * r + mix[m, 0, 1] * g + mix[m, 0, 2] * b, 0.0), alpha)
                        green = min(max(mix[m, 1, 0] * r + mix[m, 1, 1] * g + mix[m, 1, 2] * b, 0.0), alpha)
                        blue = min(max(mix[m, 2, 0] * r + mix[m, 2, 1] * g + mix[m, 2, 2] * b, 0.0), alpha)
                    image[m, 0, i, j] = red + image[m, 0, i, j] * (1 - alpha)
                    image[m, 1, i, j] = green + image[m, 1, i, j] * (1 - alpha)
                    image[m, 2, i, j] = blue + image[m, 2, i, j] * (1 - alpha)
        for c in range(3):
            for i in range(side):
                for j in range(side):
                    image[m, c, i, j] = min(max(image[m, c, i, j] * light[m, 0] + light[m, 1], 0.0), 1.0) * 2 - 1
    return covered
