"""Pictures of several things, and what is true of them: names, boxes, masks, colours, numbers, places.

Things are data.py's drawings on its grounds, or on documents, charts and screens. What is true of a thing is taken from the pixels that
are seen of it, after everything was drawn.
"""

import collections
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numba
import numpy as np
import torch

from data import HELD_OUT, RGB, UNKNOWN, Maker, draw, never, place
from names import COLOUR_NAMES

# The things that are known first. All others follow by how many drawings there are of them.
EVERYDAY = """cat dog horse cow pig rabbit bear duck fish bird butterfly elephant turtle frog penguin snail banana lemon carrot strawberry
pizza hamburger bread egg cookie mushroom cactus rose bus train airplane rocket bicycle ship taxi tractor house castle umbrella key camera
guitar chair bed bell balloon crown pencil hammer telephone candle trophy star sun snowman door""".split()
NAMED = 72  # at most
KNOWN, FROM, EACH = 56, 12000, 100  # names that are known at first; from which step on one more is known after so many steps
EASY, VARIED, RAMP = 0.05, 0.9, 5000  # how varied pictures are at first and at most, and from which step on they are
MOST = 6  # of one thing
OVERLAP = 0.15  # of the smaller of two rectangles, at most
SEEN = 0.75  # a thing of which less is seen is not spoken of
# Half sides of things, in half pictures, by how many there are.
SIZES = {1: (0.4, 0.95), 2: (0.3, 0.5), 3: (0.26, 0.42), 4: (0.24, 0.36), 5: (0.2, 0.3), 6: (0.2, 0.28), 7: (0.18, 0.26)}


@dataclass
class Thing:
    concept: int
    colour: int  # its place in COLOUR_NAMES, UNKNOWN if it has its drawing's own colours
    box: tuple  # top, left, bottom, right, in shares of the picture
    number: int  # in the map of owners
    clear: bool  # whether enough is seen of it

    @property
    def centre(self):
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass
class Picture:
    things: list = field(default_factory=list)
    ground: int = UNKNOWN  # a colour's place
    scene: int = UNKNOWN  # a concept: the document, chart or screen on which things lie, or which is all that is there
    room: tuple = (1.0, 1.0)  # the width and height of the picture in its square

    @property
    def clear(self):
        return all(t.clear for t in self.things)

    def of(self, concept):
        return [t for t in self.things if t.concept == concept]

    def count(self, concept):
        return len(self.of(concept))


def known(step):
    """How many names a model knows that learns from nothing."""
    return KNOWN + max(0, step - FROM) // EACH


def variety(step):
    return EASY + (VARIED - EASY) * min(1.0, step / RAMP)


def best_known(folder, names):
    """The plain names in the order in which they become known, without plurals."""
    art = json.loads((Path(folder) / "art.json").read_text())
    drawings = collections.Counter(a["concept"] for a in art if a["kind"] in ("colour", "monochrome") and a["source"] != HELD_OUT)
    singular = [i for i in names.plain if not re.search(r"[^sui]s$", names.labels[i])]
    return sorted(singular, key=lambda i: (names.labels[i] not in EVERYDAY, -drawings[i]))[:NAMED]


class World(Maker):
    """Batches of `size` pictures with side `side`. `sources` and `kinds` limit the drawings. With `held_out_content`, colours and
    numbers of things are those that training leaves out (data.never), and only those. Pictures that are not square are squashed to one,
    or, `padded`, black below or on the right."""

    def __init__(self, folder, names, side, size, held_out=False, sources=None, kinds=None, held_out_content=False, padded=False):
        self.best_known = best_known(folder, names)
        super().__init__(folder, names, side, size, fine=96, held_out=held_out, wanted=set(self.best_known))
        keep = [i for i, a in enumerate(self.about) if (not sources or a["source"] in sources) and (not kinds or a["kind"] in kinds)]
        full = self.art[keep]
        halves = [a.reshape(len(a), 48, 2, 48, 2, 4).mean((2, 4), dtype=np.float32).round().astype(np.uint8) for a in np.array_split(full, 64)]
        self.levels, self.about, self.art = (full, np.concatenate(halves)), [self.about[i] for i in keep], None
        self.pictures = {}
        for i, a in enumerate(self.about):
            self.pictures.setdefault(a["concept"], {}).setdefault(a["kind"], []).append(i)
        self.grounds_with_things = sorted(self.scenes & set(self.pictures))
        self.usual = dict(zip(self.things, self.weight))
        self.know(NAMED)
        self.held_out_content, self.padded = held_out_content, padded

    def know(self, count):
        """Shows and asks about the first so many names, and the shapes."""
        known = set(self.best_known[:count])
        self.things = np.array(sorted(t for t in set(self.pictures) - self.scenes if t in known or self.names.groups[t] == -1))
        weight = np.array([self.usual[t] for t in self.things])
        self.weight = weight / weight.sum()
        self.alike = {}  # things by their group
        for t in self.things:
            self.alike.setdefault(self.names.groups[t], []).append(int(t))

    def may(self, *combination):
        """Whether a combination is shown here, or spoken of."""
        return never(*combination) == self.held_out_content

    def batch(self, seed, strength=1.0):
        """Pixels [B, 3, side, side] in -1 to 1; owners [B, side, side], as `draw` has them; and B times Picture. Everything follows from
        the seed. Strength 0: one thing, upright, filling a white picture; 1: everything."""
        self.strength = strength
        r, g = np.random.default_rng(seed % 2**32), torch.Generator().manual_seed(seed % 2**32)
        plans = [self.one(r) for _ in range(self.size)]
        s = {"first": np.array([p[0][0][0] if p[0] else -1 for p in plans]), "ground": np.full(self.size, UNKNOWN)}
        image = self.grounds(s, np.full((self.size, 3), -1, np.float32), r, g)
        means = image.mean((2, 3))
        sprites, starts, pictures, rooms = [], [0], [], []
        for m, (things, scene) in enumerate(plans):
            picture = Picture(ground=UNKNOWN if scene != UNKNOWN else int(s["ground"][m]), scene=scene)
            if scene != UNKNOWN:
                drawing, _ = self.choose(r, scene)
                sprites.append((drawing, np.full(3, -1.0), 0.0, 0.0, 1.0, 1.0))
                means[m] = self.levels[1][drawing][..., :3].mean((0, 1)) / 255
            squash = np.exp(r.uniform(-0.4, 0.4) * strength)
            # The part of the square that is the picture, and how wide and high things are in it.
            room = np.array([min(1, squash), min(1, 1 / squash)]) if self.padded else np.ones(2)
            shape = room.min() if self.padded else np.array([min(1, squash), min(1, 1 / squash)])
            rooms.append(room)
            picture.room = tuple(room)
            style = {}  # several of one thing are mostly drawn alike
            for concept, x, y, half in things:
                if concept not in style or r.random() < 0.15:
                    style[concept] = self.dressed(r, concept, means[m])
                drawing, colour, ink = style[concept]
                sprites.append((drawing, ink, *((np.array([x, y]) + 1) * room - 1), *(half * r.uniform(0.9, 1.1) * shape * np.ones(2))))
                picture.things.append(Thing(concept, colour, (), len(sprites) - starts[-1], True))
            starts.append(len(sprites))
            pictures.append(picture)
        starts, drawings = np.array(starts), np.array([p[0] for p in sprites])
        placed = np.array([p[2:] for p in sprites], np.float32)
        affine, wave = place(r, placed[:, :2], placed[:, 2:], strength * 0.8)
        for k, (room, plan) in zip(starts, zip(rooms, plans)):
            if plan[1] != UNKNOWN:  # a document fills the picture
                affine[k], wave[k] = (1 / room[0], 0, 1 / room[0] - 1, 0, 1 / room[1], 1 / room[1] - 1), 0
        mix = np.eye(3) + np.where(r.random((self.size, 1, 1)) < 0.4 * strength, r.normal(0, 0.12, (self.size, 3, 3)), 0)
        mix = (mix / np.maximum(mix.sum(2, keepdims=True), 0.4)).astype(np.float32)
        light = np.stack([r.uniform(0.85, 1.1, self.size), r.uniform(-0.05, 0.05, self.size)], 1).astype(np.float32)
        owners = np.zeros((self.size, self.side, self.side), np.uint8)
        level = (placed[:, 2:].max(1) * self.side < 60).astype(np.int64)
        inks = np.array([p[1] for p in sprites], np.float32)
        covered = draw(image, owners, self.levels, level, starts, drawings, affine, wave, mix, inks, light)
        for picture, owned, (wide, high) in zip(image, owners, (np.array(rooms) * self.side).round().astype(int)):
            picture[:, high:], picture[:, :, wide:] = -1, -1
            owned[high:], owned[:, wide:] = 0, 0
        edges, seen = outlines(owners, starts)
        for m, picture in enumerate(pictures):
            for t in picture.things:
                k = starts[m] + t.number - 1
                t.box = tuple(float(e) / self.side for e in edges[k])
                t.clear = bool(seen[k] >= max(SEEN * covered[k], 1))
            # What is hidden entirely is not there.
            picture.things = [t for t in picture.things if seen[starts[m] + t.number - 1] > 0]
        return torch.from_numpy(image), owners, pictures

    def one(self, r):
        """The things of a picture (concept, centre and half side), and the scene behind them."""
        scene, kind = UNKNOWN, r.random() / max(self.strength, 1e-6)
        if self.grounds_with_things and kind < 0.14:
            scene = int(r.choice(self.grounds_with_things))
            if kind < 0.06:
                return [], scene
        wanted = [self.thing(r)]
        if kind < 0.4:
            wanted *= int(r.integers(2, MOST + 1))
            wanted += [self.thing(r) for _ in range(r.choice([0, 0, 1, 1, 2]))]
        elif kind < 1.0:
            wanted += [self.thing(r) for _ in range(r.choice([0, 1, 1, 2, 2, 3]))]
        first = wanted[0]
        wanted = [t for k, t in enumerate(wanted) if t != first or k < MOST][: MOST + 1]
        low, high = SIZES[len(wanted)]
        if self.strength < 0.5:
            low = low + (high - low) * (1 - 2 * self.strength)
        placed, size = [], r.uniform(low, high)
        for concept in wanted:
            half = min(size * r.uniform(0.85, 1.15), 1.0)
            for _ in range(20):
                x, y = r.uniform(half - 1.0, 1.0 - half, 2) if half < 1 else (0.0, 0.0)
                if all(overlap(x, y, half, *other[1:]) <= OVERLAP for other in placed):
                    placed.append((concept, x, y, half))
                    break
        # Numbers that are not shown here: one fewer, until it may be.
        for concept in set(wanted):
            mine = [p for p in placed if p[0] == concept]
            while len(mine) > 1 and not self.may("count", concept, len(mine)):
                placed.remove(mine.pop())
        return placed, scene

    def thing(self, r):
        return int(self.things_of(r, None))

    def dressed(self, r, concept, behind):
        """A drawing, its colour's place, and its ink, which differs from what is behind; -1 for a drawing's own colours."""
        for _ in range(8):
            drawing, kind = self.choose(r, concept)
            inked = kind == "monochrome" or (kind in ("colour", "line") and r.random() < 0.25 * self.strength)
            if not inked:
                return drawing, UNKNOWN, np.full(3, -1.0)
            colour = int(r.integers(len(COLOUR_NAMES)))
            named = r.random() < 0.8 and self.may("tint", concept, colour)
            base = RGB[colour] if named else r.random(3) * r.choice([0.15, 1.0])
            if np.abs(base - behind).sum() > 0.6:
                return drawing, colour if named else UNKNOWN, np.clip(base + r.normal(0, 0.03, 3), 0, 1)
        return drawing, UNKNOWN, np.full(3, 0.05 if behind.mean() > 0.5 else 0.95)


def overlap(x, y, half, x2, y2, half2):
    """Of two squares, as a share of the smaller."""
    wide = min(x + half, x2 + half2) - max(x - half, x2 - half2)
    high = min(y + half, y2 + half2) - max(y - half, y2 - half2)
    return max(wide, 0) * max(high, 0) / (4 * min(half, half2) ** 2)


@numba.njit(cache=True)
def outlines(owners, starts):
    """Of each sprite: the edges of what is seen (top, left, bottom, right; the last two exclusive), and how many pixels it is."""
    edges = np.zeros((starts[-1], 4), np.int64)
    edges[:, :2] = owners.shape[1]
    seen = np.zeros(starts[-1], np.int64)
    for m in range(len(owners)):
        for i in range(owners.shape[1]):
            for j in range(owners.shape[2]):
                if owners[m, i, j]:
                    k = starts[m] + owners[m, i, j] - 1
                    seen[k] += 1
                    edges[k, 0], edges[k, 1] = min(edges[k, 0], i), min(edges[k, 1], j)
                    edges[k, 2], edges[k, 3] = max(edges[k, 2], i + 1), max(edges[k, 3], j + 1)
    return edges, seen
