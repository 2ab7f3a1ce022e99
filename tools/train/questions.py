"""Requests and answers about truth.py's pictures, in PaliGemma's words: `caption en`, `answer en …`, `detect …`.

Nothing is asked, and nothing is said, of a combination that training leaves out (World.may), nor of a thing that is half hidden, nor
where the truth is a matter of taste: two things nearly above each other are not left and right.
"""

from dataclasses import dataclass

import numpy as np

from data import UNKNOWN
from names import COLOUR_NAMES, NUMBERS, plural
from truth import MOST

APART = 0.12  # of the picture, between the centres of what is left and right, or above and below
EDGES = 96  # places of an edge: one for each pixel that the model sees
LAST = 1023  # the largest <loc>
NONE = "none"
SIDES = {"to the left of": (1, 1), "to the right of": (1, -1), "above": (0, 1), "below": (0, -1)}  # axis; 1 where the first is before
ENDS = {"on the left": (1, 1), "on the right": (1, -1), "at the top": (0, 1), "at the bottom": (0, -1)}
PLACES = [["top left", "top", "top right"], ["left", "middle", "right"], ["bottom left", "bottom", "bottom right"]]
NUMBER_WORDS = {**NUMBERS, 6: "six"}
WORDINGS = {
    "what": ["what is this?", "what does the picture show?", "what is in the picture?"],
    "presence": ["is there {a}?", "is there {a} in the picture?", "do you see {a}?", "does the picture show {a}?"],
    "count": ["how many {many} are there?", "how many {many}?", "how many {many} are in the picture?", "how many {many} do you see?"],
    "colour": ["what colour is the {one}?", "what color is the {one}?", "which colour is the {one}?", "which color is the {one}?"],
    "where": ["where is the {one}?", "where in the picture is the {one}?"],
}


@dataclass
class Question:
    kind: str
    prompt: str
    answer: str
    about: int | None = None  # the concept that is to be looked at, if it is there


def an(noun):
    vowel = noun[0] in "aeiou" and not noun.startswith(("uni", "uku", "eu", "ewe", "one"))
    return f"{'an' if vowel else 'a'} {noun}"


def locations(box):
    """Top, left, bottom and right edge as PaliGemma writes them, in steps of a pixel that the model sees."""
    return "".join(f"<loc{round(round(e * EDGES) / EDGES * LAST):04}>" for e in box)


def before(a, b, axis, way):
    """Whether a is clearly before b along an axis (way 1), or behind it (way -1)."""
    return way * (b.centre[axis] - a.centre[axis]) >= APART


def place_of(t):
    """In which of PLACES a thing's middle is, by rows; None near a border of two."""
    sure = all(min(abs(c - 1 / 3), abs(c - 2 / 3)) > 0.04 for c in t.centre)
    return 3 * int(t.centre[0] * 3) + int(t.centre[1] * 3) if sure else None


class Asker:
    """Asks about the pictures of a World."""

    # How often each kind is asked.
    SHARES = {"caption": 0.14, "what": 0.12, "presence": 0.4, "count": 0.16, "colour": 0.18, "side": 0.2, "where": 0.1, "detect": 0.11}

    def __init__(self, world):
        self.world, self.labels = world, world.names.labels
        self.shares = np.array(list(self.SHARES.values())) / sum(self.SHARES.values())

    def questions(self, r, picture, most):
        """Up to `most` different questions."""
        asked = {}
        if not picture.clear:
            return []
        for kind in r.choice(list(self.SHARES), 2 * most, p=self.shares):
            question = getattr(self, kind)(r, picture)
            if question is not None and len(asked) < most:
                asked.setdefault(question[0], Question(kind, *question))
        return list(asked.values())

    def say(self, r, kind, **words):
        text = r.choice(WORDINGS[kind]).format(**words)
        return f"answer en {text if r.random() < 0.75 else text.rstrip('?')}"

    def one(self, r, picture):
        return picture.things[r.integers(len(picture.things))] if picture.things else None

    def absent(self, r, picture):
        """Something that is not there: of the same kind as what is there, half of the time."""
        there = {t.concept for t in picture.things}
        near = self.world.alike[self.world.names.groups[self.one(r, picture).concept]] if there and r.random() < 0.5 else self.world.things
        for _ in range(10):
            other = int(r.choice(near))
            if other not in there:
                return other
        return int(next(t for t in self.world.things if t not in there))

    def named(self, t, count=1):
        """A thing with its colour, and their number."""
        word = self.labels[t.concept]
        noun = word if t.colour == UNKNOWN or not self.world.may("tint", t.concept, t.colour) else f"{COLOUR_NAMES[t.colour]} {word}"
        return an(noun) if count == 1 else f"{NUMBER_WORDS[count]} {noun.removesuffix(word)}{plural(word)}"

    def caption(self, r, picture):
        """All that is there, from left to right; of two things how they lie."""
        behind = f" on {an(self.labels[picture.scene])}" if picture.scene != UNKNOWN else ""
        things = picture.things
        if not things:
            return ("caption en", an(self.labels[picture.scene])) if behind else None
        groups = {}
        for t in sorted(things, key=lambda t: t.centre[1]):
            groups.setdefault(t.concept, []).append(t)
        if len(groups) == 2 == len(things):
            for words, axis in (("to the left of", 1), ("above", 0)):
                a, b = sorted(things, key=lambda t: t.centre[axis])
                if before(a, b, axis, 1) and self.world.may("pair", a.concept, b.concept):
                    return "caption en", f"{self.named(a)} {words} {self.named(b)}{behind}"
        parts = []
        for same in groups.values():
            alike = len({t.colour for t in same}) == 1
            said = same[0] if alike else type(same[0])(same[0].concept, UNKNOWN, (), 0, True)
            parts.append(self.named(said, len(same)))
        listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        return "caption en", listed + behind

    def what(self, r, picture):
        things, label = picture.things, self.labels
        if not things:
            return (self.say(r, "what"), label[picture.scene])
        if len(things) == 1 and r.random() < 0.7:
            return self.say(r, "what"), label[things[0].concept]
        if r.random() < 0.4:  # by its colour
            tinted = [t for t in things if t.colour != UNKNOWN]
            known = len(tinted) == len(things)
            alone = [t for t in tinted if sum(o.colour == t.colour for o in tinted) == 1 and self.world.may("tint", t.concept, t.colour)]
            if not known or not alone:
                return None
            t = alone[r.integers(len(alone))]
            return f"answer en {r.choice(['what is', 'which thing is'])} {COLOUR_NAMES[t.colour]}?", label[t.concept]
        if len(things) < 2:
            return None
        words = r.choice(list(ENDS))
        axis, way = ENDS[words]
        first, *others = sorted(things, key=lambda t: way * t.centre[axis])
        if not all(before(first, o, axis, way) for o in others):
            return None
        return f"answer en what is {words}?", label[first.concept]

    def presence(self, r, picture):
        """Yes or no, as often: of a thing, its colour, its number, its side."""
        yes, kind = r.random() < 0.5, r.random()
        t = self.one(r, picture)
        if t is None:  # a document alone
            scenes = self.world.grounds_with_things
            asked = picture.scene if yes else int(r.choice([s for s in scenes if s != picture.scene]))
            return self.say(r, "presence", a=an(self.labels[asked])), "yes" if yes else "no"
        count = picture.count(t.concept)
        word = self.labels[t.concept]
        if kind < 0.15 and count == 1 and t.colour != UNKNOWN:
            colour = t.colour if yes else int(r.choice([k for k in range(len(COLOUR_NAMES)) if k != t.colour]))
            if not self.world.may("tint", t.concept, colour):
                return None
            return self.say(r, "presence", a=an(f"{COLOUR_NAMES[colour]} {word}")), "yes" if yes else "no", t.concept
        if kind < 0.3 and count > 1:
            said = count if yes else int(r.choice([n for n in range(2, MOST + 1) if n != count]))
            if not self.world.may("count", t.concept, said):
                return None
            return f"answer en are there {NUMBER_WORDS[said]} {plural(word)}?", "yes" if yes else "no", t.concept
        if kind < 0.45 and len(picture.things) > 1:
            said = self.related(r, picture, t)
            if said is None:
                return None
            words, other = said
            if not yes:
                words = {v: k for k, v in zip(SIDES, [*list(SIDES)[1::-1], *list(SIDES)[:1:-1]])}[words]
            return f"answer en is the {word} {words} the {self.labels[other.concept]}?", "yes" if yes else "no", t.concept
        asked = t.concept if yes else self.absent(r, picture)
        return self.say(r, "presence", a=an(self.labels[asked])), "yes" if yes else "no", asked

    def related(self, r, picture, t):
        """How t lies to one other thing, both there once, in words that may be said; None if that is not clear."""
        others = [o for o in picture.things if o is not t and picture.count(o.concept) == 1]
        if not others or picture.count(t.concept) > 1:
            return None
        other, words = others[r.integers(len(others))], r.choice(list(SIDES))
        axis, way = SIDES[words]
        if not before(t, other, axis, way):
            return None
        pair = (t, other) if way == 1 else (other, t)
        return (words, other) if self.world.may("pair", *(p.concept for p in pair)) else None

    def count(self, r, picture):
        if r.random() < 0.15:
            return ("answer en how many things are there?", str(len(picture.things))) if 0 < len(picture.things) <= MOST else None
        t = self.one(r, picture)
        if t is None or r.random() < 0.15:
            other = self.absent(r, picture)
            return self.say(r, "count", many=plural(self.labels[other])), "0"
        count = picture.count(t.concept)
        if count == 1 and r.random() < 0.6:
            return None
        return self.say(r, "count", many=plural(self.labels[t.concept])), str(count), t.concept

    def colour(self, r, picture):
        if picture.ground != UNKNOWN and r.random() < 0.4:
            return f"answer en what colour is {r.choice(['the background', 'the ground'])}?", COLOUR_NAMES[picture.ground]
        known = [t for t in picture.things if t.colour != UNKNOWN and picture.count(t.concept) == 1 and self.world.may("tint", t.concept, t.colour)]
        if not known or r.random() < 0.06:
            return (self.say(r, "colour", one=self.labels[self.absent(r, picture)]), NONE) if r.random() < 0.03 else None
        t = known[r.integers(len(known))]
        return self.say(r, "colour", one=self.labels[t.concept]), COLOUR_NAMES[t.colour], t.concept

    def side(self, r, picture):
        """What is beside something; where nothing is, or the something is not there, none."""
        t = self.one(r, picture)
        if t is None:
            return None
        words = r.choice(list(SIDES))
        axis, way = SIDES[words]
        if r.random() < 0.02:
            return f"answer en what is {words} the {self.labels[self.absent(r, picture)]}?", NONE
        if picture.count(t.concept) > 1 or len(picture.things) > 3:
            return None
        others = [o for o in picture.things if o is not t]
        there = [o for o in others if before(o, t, axis, way)]
        unsure = [o for o in others if o not in there and not before(t, o, axis, way)]
        if unsure or len(there) > 1:
            return None
        if there:
            pair = (there[0], t) if way == 1 else (t, there[0])
            if not self.world.may("pair", *(p.concept for p in pair)):
                return None
        elif r.random() < 0.97:
            return None
        return f"answer en what is {words} the {self.labels[t.concept]}?", self.labels[there[0].concept] if there else NONE, t.concept

    def where(self, r, picture):
        t = self.one(r, picture)
        if t is None or r.random() < 0.02:
            return (self.say(r, "where", one=self.labels[self.absent(r, picture)]), NONE)
        place = place_of(t)
        if picture.count(t.concept) > 1 or place is None:
            return None
        place = [place for row in PLACES for place in row][place]
        if place == "middle" and r.random() < 0.7:
            return None
        return self.say(r, "where", one=self.labels[t.concept]), place, t.concept

    def detect(self, r, picture):
        """Boxes of one or two names, in the order of the names and from the top; nothing for what is not there."""
        wanted = []
        if picture.things and r.random() < 0.85:
            wanted.append(self.one(r, picture).concept)
        if not wanted or r.random() < 0.2:
            t = self.one(r, picture)
            wanted.append(t.concept if t and r.random() < 0.6 else self.absent(r, picture))
        wanted = list(dict.fromkeys(wanted))
        found = [(t.box, self.labels[c]) for c in wanted for t in sorted(picture.of(c), key=lambda t: t.box[:2])]
        if len(found) > 4:
            return None
        return f"detect {' ; '.join(self.labels[c] for c in wanted)}", " ; ".join(f"{locations(box)} {label}" for box, label in found)
