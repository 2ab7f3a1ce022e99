"""Batches for ocelli-tiny-ask: rows of questions behind pictures, and what each patch shows."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from ask_model import PATCHES, VISION
from data import UNKNOWN
from names import COLOUR_NAMES, plural
from questions import EDGES, LAST, NUMBER_WORDS, PLACES, SIDES, Asker, an, before, place_of
from words import EOS, PAD

PACKED, ALONE = 144, 40  # tokens of a row: of many questions, of one
EACH_ALONE = 2  # questions of a picture where each has a row of its own
UNSAID = -100  # of a patch: what is not known, or not spoken of


@dataclass
class Rows:
    picture: torch.Tensor  # [rows], which picture each row is about
    ids: torch.Tensor  # [rows, T]
    parts: torch.Tensor  # which question of its row each token belongs to
    prefix: torch.Tensor  # whether it is the question
    positions: torch.Tensor
    wanted: torch.Tensor  # whether what follows is to be learned
    targets: torch.Tensor  # what follows, of the wanted
    weights: torch.Tensor  # of each wanted place: answers count by the root of their length
    about: torch.Tensor  # of each wanted place, what is to be looked at: its number among the names, or UNSAID


@dataclass
class Patches:
    """What is true of the thing at each patch's middle [pictures, patches]: places in `Batches.said`'s lists."""

    name: torch.Tensor  # UNSAID on the ground
    colour: torch.Tensor
    count: torch.Tensor  # how many of its name there are
    where: torch.Tensor
    beside: torch.Tensor  # [sides, pictures, patches], the name of what is there, as SIDES has them
    edges: torch.Tensor  # [pictures, patches, 4]


class Batches:
    def __init__(self, world, words):
        self.world, self.asker = world, Asker(world)
        self.named = [*map(int, world.things), *sorted(world.scenes)]
        self.number = {concept: k for k, concept in enumerate(self.named)}
        self.tokenizer = Tokenizer.from_file(str(words))
        self.size = self.tokenizer.get_vocab_size()
        self.places = torch.tensor([self.tokenizer.token_to_id(f"<loc{i:04}>") for i in range(LAST + 1)])
        steps = self.places[[round(k / EDGES * LAST) for k in range(EDGES + 1)]]
        # The places a pixel before and behind each; themselves for all other tokens.
        self.near = torch.arange(self.size).repeat(2, 1)
        self.near[0, steps[1:]], self.near[1, steps[:-1]] = steps[:-1], steps[1:]

    def said(self):
        """How patches say what they show: the shares of tokens [forms, texts, vocabulary] in names (alone, within a sentence, and of
        several), colours, numbers and places."""
        names, numbers = [self.asker.labels[c] for c in self.named], NUMBER_WORDS.items()
        return {"name": self.shares(names, [f"the {l}" for l in names], [f"many {plural(l)}" for l in names]),
                "colour": self.shares(COLOUR_NAMES, [an(c) for c in COLOUR_NAMES]),
                "count": self.shares([str(k) for k, _ in numbers], [f"are {word}" for _, word in numbers]),
                "where": self.shares([place for row in PLACES for place in row])}

    def shares(self, alone, *within):
        """Of texts alone, and of some behind a word that is one token."""
        shares = torch.zeros(1 + len(within), len(alone), self.size)
        for form, (texts, skipped) in zip(shares, [(alone, 0), *((texts, 1) for texts in within)]):
            for row, encoding in zip(form, self.tokenizer.encode_batch(texts, add_special_tokens=False)):
                ids = torch.tensor(encoding.ids[skipped:])
                row.index_add_(0, ids, torch.full((len(ids),), 1 / len(ids)))
        return shares

    def tokens(self, questions):
        """The prefix (with <bos> and the newline) and the suffix of each question, and the number of what it is about."""
        prefixes = self.tokenizer.encode_batch([f"{q.prompt}\n" for q in questions])
        suffixes = self.tokenizer.encode_batch([q.answer for q in questions], add_special_tokens=False)
        return [(p.ids, [*s.ids, EOS], self.number.get(q.about, UNSAID)) for p, s, q in zip(prefixes, suffixes, questions)]

    def batch(self, seed, strength, alone):
        """Pixels, rows of questions, and the truth of each patch; with `alone`, a row for each question, as PaliGemma has it."""
        pixels, owners, pictures = self.world.batch(seed, strength)
        r = np.random.default_rng([seed % 2**32, 1])
        asked = [self.asker.questions(r, p, EACH_ALONE if alone else 16) for p in pictures]
        tokens = iter(self.tokens([q for qs in asked for q in qs]))
        tokens = [[next(tokens) for _ in qs] for qs in asked]
        length, rows = (ALONE if alone else PACKED), []
        for picture, pairs in enumerate(tokens):
            row = []
            for prefix, suffix, about in pairs:
                if alone and row:
                    rows.append((picture, row))
                    row = []
                if sum(len(p) + len(s) for p, s, _ in row) + len(prefix) + len(suffix) <= length:
                    row.append((prefix, suffix, about))
            if row:
                rows.append((picture, row))
        return pixels, self.rows(rows, length), patches(owners, pictures, self.number, self.world)

    def rows(self, rows, length):
        shape = len(rows), length
        ids, parts, positions = np.full(shape, PAD), np.full(shape, -2), np.full(shape, PATCHES)
        prefix, wanted = np.zeros(shape, bool), np.zeros(shape, bool)
        targets, weights, abouts = [], [], []
        for k, (_, pairs) in enumerate(rows):
            start = 0
            for part, (before, after, about) in enumerate(pairs):
                # The end is only a target.
                whole, split = before + after[:-1], start + len(before)
                stop = start + len(whole)
                ids[k, start:stop], parts[k, start:stop] = whole, part
                prefix[k, start:split] = True
                positions[k, start:stop] = PATCHES + np.arange(len(whole))
                wanted[k, split - 1 : stop] = True
                targets += after
                weights += [len(after) ** -0.5] * len(after)
                abouts += [about] * len(after)
                start = stop
        return Rows(torch.tensor([p for p, _ in rows]), *(torch.from_numpy(x) for x in (ids, parts, prefix, positions, wanted)),
                    torch.tensor(targets), torch.tensor(weights), torch.tensor(abouts))


def patches(owners, pictures, number, world):
    """What is true of each patch; `number` has the names' numbers by concept."""
    p = VISION["patch_size"]
    middle = owners[:, p // 2 :: p, p // 2 :: p].reshape(len(owners), -1)
    name, colour, count, where, *beside = (np.full(middle.shape, UNSAID) for _ in range(4 + len(SIDES)))
    edges = np.zeros((*middle.shape, 4), np.float32)
    for m, picture in enumerate(pictures):
        if picture.scene != UNKNOWN:
            name[m, middle[m] == 1] = number[picture.scene]
        for t in picture.things:
            here = middle[m] == t.number
            name[m, here], edges[m, here] = number[t.concept], t.box
            if t.colour != UNKNOWN and world.may("tint", t.concept, t.colour):
                colour[m, here] = t.colour
            count[m, here] = picture.count(t.concept) - 1
            if (place := place_of(t)) is not None:
                where[m, here] = place
            for side, (axis, way) in zip(beside, SIDES.values()):
                there = [o for o in picture.things if o is not t and before(o, t, axis, way)]
                if len(there) == 1 and world.may("pair", *(o.concept for o in ((there[0], t) if way == 1 else (t, there[0])))):
                    side[m, here] = number[there[0].concept]
    return Patches(*map(torch.from_numpy, (name, colour, count, where, np.stack(beside), edges)))
