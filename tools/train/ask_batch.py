"""Batches for ocelli-tiny-ask: rows of questions behind pictures, and what each patch shows."""

from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from ask_model import PATCHES, VISION
from names import plural
from questions import EDGES, LAST, Asker
from words import EOS, PAD

PACKED, ALONE = 96, 40  # tokens of a row: of many questions, of one
EACH_ALONE = 2  # questions of a picture where each has a row of its own
NOTHING = 0  # what a patch of ground shows; concepts are one higher


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


class Batches:
    def __init__(self, world, words):
        self.world, self.asker = world, Asker(world)
        self.tokenizer = Tokenizer.from_file(str(words))
        self.size = self.tokenizer.get_vocab_size()
        self.places = torch.tensor([self.tokenizer.token_to_id(f"<loc{i:04}>") for i in range(LAST + 1)])
        steps = self.places[[round(k / EDGES * LAST) for k in range(EDGES + 1)]]
        # The places a pixel before and behind each; themselves for all other tokens.
        self.near = torch.arange(self.size).repeat(2, 1)
        self.near[0, steps[1:]], self.near[1, steps[:-1]] = steps[:-1], steps[1:]

    def forms(self):
        """How much of each token is in every concept's name [3, concepts, vocabulary]: alone, within a sentence, and of several."""
        labels = self.asker.labels
        shares = torch.zeros(3, len(labels), self.size)
        for form, texts, skipped in zip(shares, (labels, [f"the {l}" for l in labels], [f"many {plural(l)}" for l in labels]), (0, 1, 1)):
            for row, encoding in zip(form, self.tokenizer.encode_batch(texts, add_special_tokens=False)):
                ids = torch.tensor(encoding.ids[skipped:])
                row.index_add_(0, ids, torch.full((len(ids),), 1 / len(ids)))
        return shares

    def tokens(self, questions):
        """The prefix (with <bos> and the newline) and the suffix of each question."""
        prefixes = self.tokenizer.encode_batch([f"{q.prompt}\n" for q in questions])
        suffixes = self.tokenizer.encode_batch([q.answer for q in questions], add_special_tokens=False)
        return [(p.ids, [*s.ids, EOS]) for p, s in zip(prefixes, suffixes)]

    def batch(self, seed, strength, alone):
        """Pixels, rows of questions, and the truth of each patch; with `alone`, a row for each question, as PaliGemma has it."""
        pixels, owners, pictures = self.world.batch(seed, strength)
        r = np.random.default_rng([seed % 2**32, 1])
        asked = [self.asker.questions(r, p, EACH_ALONE if alone else 11) for p in pictures]
        tokens = iter(self.tokens([q for qs in asked for q in qs]))
        tokens = [[next(tokens) for _ in qs] for qs in asked]
        length, rows = (ALONE if alone else PACKED), []
        for picture, pairs in enumerate(tokens):
            row = []
            for prefix, suffix in pairs:
                if alone and row:
                    rows.append((picture, row))
                    row = []
                if sum(len(p) + len(s) for p, s in row) + len(prefix) + len(suffix) <= length:
                    row.append((prefix, suffix))
            if row:
                rows.append((picture, row))
        return pixels, self.rows(rows, length), patches(owners, pictures, self.world.side)

    def rows(self, rows, length):
        shape = len(rows), length
        ids, parts, positions = np.full(shape, PAD), np.full(shape, -2), np.full(shape, PATCHES)
        prefix, wanted = np.zeros(shape, bool), np.zeros(shape, bool)
        targets, weights = [], []
        for k, (_, pairs) in enumerate(rows):
            start = 0
            for part, (before, after) in enumerate(pairs):
                # The end is only a target.
                whole, split = before + after[:-1], start + len(before)
                stop = start + len(whole)
                ids[k, start:stop], parts[k, start:stop] = whole, part
                prefix[k, start:split] = True
                positions[k, start:stop] = PATCHES + np.arange(len(whole))
                wanted[k, split - 1 : stop] = True
                targets += after
                weights += [len(after) ** -0.5] * len(after)
                start = stop
        return Rows(torch.tensor([p for p, _ in rows]), *(torch.from_numpy(x) for x in (ids, parts, prefix, positions, wanted)),
                    torch.tensor(targets), torch.tensor(weights))


def patches(owners, pictures, side):
    """Of each patch: 1 + the concept at its middle [B, patches], 0 for ground, and how far the box's edges are [B, patches, 4]."""
    p = VISION["patch_size"]
    middle = owners[:, p // 2 :: p, p // 2 :: p].reshape(len(owners), -1)
    shows = np.zeros(middle.shape, np.int64)
    boxes = np.zeros((*middle.shape, 4), np.float32)
    for m, picture in enumerate(pictures):
        if picture.scene >= 0:
            shows[m] = np.where(middle[m] == 1, 1 + picture.scene, NOTHING)
        for t in picture.things:
            here = middle[m] == t.number
            shows[m, here] = 1 + t.concept
            boxes[m, here] = t.box
    return torch.from_numpy(shows), torch.from_numpy(boxes)
