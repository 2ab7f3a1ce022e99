"""Checks what training takes for true, and that the models compute what transformers computes. Each check meets something wrong, too.

    check.py
"""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

import ask_export
import words
from ask import look_loss
from ask_batch import UNSAID, Batches, patches
from ask_model import PATCHES, PaliGemma, attention_mask
from data import draw
from find import answering, generalised_iou, shown, truth
from questions import Asker, Question, before, locations
from scene_evaluation import runs
from truth import Picture, Thing, outlines, overlap

LABELS = ["cat", "dog", "elephant", "bar chart", "fish"]
NUMBER = {0: 0, 1: 1, 2: 2, 4: 3, 3: 4}  # of concepts among the names


def drawn(sprites, side=64):
    """Discs, each as wide as its square, by centre and half side."""
    at = (np.arange(96) + 0.5) / 48 - 1
    disc = np.zeros((1, 96, 96, 4), np.uint8)
    disc[0, at[:, None] ** 2 + at**2 < 1] = 255
    count = len(sprites)
    affine = np.array([[1 / s, 0, -x / s, 0, 1 / s, -y / s] for x, y, s in sprites], np.float32)
    owners, starts = np.zeros((1, side, side), np.uint8), np.array([0, count])
    first, plain, own = np.zeros(count, np.int64), np.eye(3, dtype=np.float32)[None], np.full((count, 3), -1, np.float32)
    covered = draw(np.zeros((1, 3, side, side), np.float32), owners, (disc, disc), first, starts, first, affine, np.zeros((count, 2, 3), np.float32),
                   plain, own, np.array([[1, 0]], np.float32))
    return owners, covered, *outlines(owners, starts)


def boxes_and_masks():
    owners, covered, edges, seen = drawn([(-0.5, -0.5, 0.25), (0.25, 0.25, 0.5)])
    assert np.abs(edges - [[8, 8, 24, 24], [24, 24, 56, 56]]).max() <= 1, edges
    assert np.abs(edges - [[9, 9, 25, 25], [24, 24, 56, 56]]).max() <= 1 and np.abs(edges[:, [1, 0, 3, 2]] - [[8, 8, 24, 24], [10, 24, 56, 56]]).max() > 1
    assert np.abs(seen / (np.pi * np.array([8, 16]) ** 2) - 1).max() < 0.04, seen
    # Of a disc whose right half lies under another, the left half is seen, and only that is in the box.
    owners, covered, edges, seen = drawn([(0, 0, 0.25), (0.5, 0, 0.5)])
    assert covered[0] > 190 and seen[0] < 0.75 * covered[0] and edges[0, 3] <= 36 < 40, (covered, seen, edges)
    assert (owners == 1).sum() == seen[0] and (owners == 2).sum() == seen[1] == covered[1]
    assert overlap(0, 0, 0.25, 0.5, 0, 0.5) > 0.4 and overlap(0, 0, 0.25, 0.75, 0, 0.25) == 0
    mask = owners[0] == 1
    back = np.repeat(np.arange(len(runs(mask))) % 2, runs(mask)).reshape(mask.T.shape).T
    assert (back == mask).all() and (back != mask.T).any()


def world(may=True):
    names = SimpleNamespace(labels=LABELS, groups=[3, 3, 3, -1, 3])
    return SimpleNamespace(names=names, things=np.array([0, 1, 2, 4]), scenes={3}, grounds_with_things=[3], alike={3: [0, 1, 2, 4]}, may=lambda *c: may)


def thing(concept, y, x, colour=-1, number=1):
    return Thing(concept, colour, (y - 0.1, x - 0.1, y + 0.1, x + 0.1), number, True)


def answers(picture, may=True):
    """All that is said of a picture."""
    asker, r = Asker(world(may)), np.random.default_rng(0)
    return {q.prompt.removeprefix("answer en ").rstrip("?"): q.answer for _ in range(1500) for q in asker.questions(r, picture, 8)}


def right_answers():
    beside = Picture([thing(0, 0.5, 0.2, 0), thing(1, 0.55, 0.8, number=2)])
    expected = {"what is to the right of the cat": "dog", "what is to the left of the dog": "cat", "what colour is the cat": "red",
                "is the cat to the left of the dog": "yes", "is the cat to the right of the dog": "no", "how many dogs are there": "1",
                "how many elephants are there": "0", "is there an elephant": "no", "where is the dog": "right", "what is on the left": "cat",
                "how many things are there": "2", "caption en": "a red cat to the left of a dog", "what is to the left of the elephant": "none",
                "detect dog": "<loc0458><loc0714><loc0661><loc0916> dog", "detect elephant": ""}
    wrong = Picture([thing(1, 0.5, 0.2), thing(0, 0.55, 0.8, 2, 2), thing(2, 0.1, 0.5, number=3), thing(1, 0.9, 0.5, number=4)])
    said, other = answers(beside), answers(wrong)
    for question, answer in expected.items():
        assert said.get(question) == answer, (question, said.get(question), answer)
        assert other.get(question) != answer, question
    assert not any("above" in q and a not in ("none", "no") for q, a in said.items()), "what is barely above is not above"
    # Nothing is said of what is left out: no pair, no colour, no number above one.
    silent = answers(Picture([thing(0, 0.5, 0.2, 0), thing(1, 0.55, 0.8, 2, 2)]), may=False)
    assert all(a == "none" for q, a in silent.items() if q.startswith("what is to the") or "colour" in q), silent
    assert silent["caption en"] == "a cat and a dog" and "is the cat to the left of the dog" not in silent
    hidden = Picture([Thing(0, 0, (0, 0, 1, 1), 1, False)])
    assert not answers(hidden)
    assert before(thing(0, 0.5, 0.2), thing(1, 0.5, 0.4), 1, 1) and not before(thing(0, 0.5, 0.2), thing(1, 0.5, 0.25), 1, 1)
    assert locations((0.0, 0.25, 0.5, 1.0)) == "<loc0000><loc0256><loc0512><loc1023>" != locations((0.25, 0.0, 0.5, 1.0))
    counts = {k: answers(Picture([thing(0, 0.5, (i + 0.5) / k, number=i + 1) for i in range(k)]))["how many cats are there"] for k in range(1, 7)}
    assert counts == {k: str(k) for k in range(1, 7)}, counts


def what_patches_show():
    owners = np.zeros((1, 192, 192), np.uint8)
    owners[0, 80:112, 32:64], owners[0, 80:112, 128:160] = 1, 2
    things = [Thing(2, 1, (80 / 192, 32 / 192, 112 / 192, 64 / 192), 1, True), Thing(4, -1, (80 / 192, 128 / 192, 112 / 192, 160 / 192), 2, True)]
    said = patches(owners, [Picture(things)], NUMBER, world())
    first, second = {5 * 12 + 2, 5 * 12 + 3, 6 * 12 + 2, 6 * 12 + 3}, {5 * 12 + 8, 5 * 12 + 9, 6 * 12 + 8, 6 * 12 + 9}
    of = lambda values, value: set(torch.nonzero(values[0] == value)[:, 0].tolist())
    assert of(said.name, 2) == first and of(said.name, 3) == second and len(of(said.name, UNSAID)) == 144 - 8
    assert of(said.colour, 1) == first and len(of(said.colour, UNSAID)) == 144 - 4 and of(said.count, 0) == first | second
    assert of(said.where, 3) == first and of(said.where, 5) == second
    left, right, above, below = said.beside
    assert of(left, 2) == second and of(right, 3) == first and len(of(left, UNSAID)) == len(of(right, UNSAID)) == 140
    assert (above == UNSAID).all() and (below == UNSAID).all()
    silent = patches(owners, [Picture(things)], NUMBER, world(may=False))
    assert (silent.beside == UNSAID).all() and (silent.colour == UNSAID).all() and (silent.name == said.name).all()
    assert of(patches(owners, [Picture([things[0], replace(things[1], concept=2)])], NUMBER, world()).count, 1) == first | second
    filled = shown(owners, [Picture(things)], [2, 4], 12)
    assert of(filled, 0) == first and of(filled, 1) == second and len(of(filled, 2)) == 144 - 8
    assert of(shown(owners, [Picture(things)], [4, 2], 12), 0) == second  # in the order of what is asked
    owners[0, 80:84, 32:64], owners[0, 80:88, 128:160] = 0, 0  # three quarters of a patch are enough, a half is, and a quarter is unclear
    filled = shown(owners, [Picture(things)], [2, 4], 12)
    assert of(filled, 0) == first and of(filled, 1) == second
    owners[0, 80:92, 128:160] = 0
    filled = shown(owners, [Picture(things)], [2, 4], 12)
    assert of(filled, 1) == second - {5 * 12 + 8, 5 * 12 + 9} and of(filled, -1) == {5 * 12 + 8, 5 * 12 + 9}
    things, (boxes, weight, named) = truth([Picture([thing(2, 0.5, 0.2), thing(0, 0.8, 0.8, number=2)])], [0, 2], 16)
    assert weight[0, 8 * 16 + 3] == weight[0, 12 * 16 + 12] == 1 and named[0, [8 * 16 + 3, 12 * 16 + 12]].tolist() == [1, 0]
    assert things[3].argmax(1).tolist() == [8 * 16 + 3, 12 * 16 + 12] and things[1].tolist() == [1, 0]
    # Of the patches at a thing's middle the one with the better box answers, and none far away, however good its own is.
    things[3][0, [8 * 16 + 2, 0]], found = torch.tensor([0.6, 0.4]), torch.tensor([0.5, 0.5, 0.9, 0.9]).repeat(1, 256, 1)
    found[0, 8 * 16 + 2] = found[0, 0] = things[2][0]
    found[0, 12 * 16 + 12] = things[2][1]
    assert torch.nonzero(answering(things, torch.zeros(1, 256, 2), found)).tolist() == [[0, 8 * 16 + 2, 1], [0, 12 * 16 + 12, 0]]
    assert torch.allclose(boxes[0, 8 * 16 + 3], torch.tensor([0.2, 0.5, 0.2, 0.2])) and weight[0, 0] < 0.01
    a, b = torch.tensor([0.5, 0.5, 0.2, 0.2]), torch.tensor([0.6, 0.5, 0.2, 0.2])
    assert abs(generalised_iou(a, a) - 1) < 1e-5 and abs(generalised_iou(a, b) - 1 / 3) < 1e-5 and generalised_iou(a, b + torch.tensor([0.3, 0, 0, 0])) < 0


def as_transformers_has_it():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        texts = ["answer en is there a cat?", "answer en how many dogs are there?", "yes", "2", "a cat on a bar chart"] * 4
        words.train(texts, folder / "words.json")
        batches = Batches(world(), folder / "words.json")
        torch.manual_seed(0)
        model = PaliGemma(batches.size, batches.places)
        for name, p in model.named_parameters():  # nothing is nothing
            torch.nn.init.normal_(p, std=0.3 if p.ndim == 1 else p.shape[-1] ** -0.5 if "embed" not in name else 0.06)
        ask_export.export(model, folder / "words.json", folder / "model")
        pixels = torch.rand(1, 3, 192, 192) * 2 - 1
        distance = ask_export.check(model, folder / "model", pixels, "answer en is there a cat?")
        assert distance < 1e-5, distance
        model.layers[0].input_layernorm.weight.data += 0.01
        assert ask_export.check(model, folder / "model", pixels, "answer en is there a cat?") > 1e-3
        # Of two questions in a row neither knows of the other; both are answered as if alone but for what the picture sees of them.
        q = [Question("presence", "answer en is there a cat?", "yes", 0), Question("count", "answer en how many dogs are there?", "2")]
        one, two = batches.tokens(q)
        rows = lambda pairs: batches.rows([(0, pairs)], 40)
        seen = model.see(pixels)
        ask = lambda row: model(seen, row.ids, row.parts, row.prefix, row.positions, row.wanted)[0]
        both, others = ask(rows([one, two])), ask(rows([two, two]))
        assert (both[2:] - others[2:]).abs().max() < 1e-4 < (both[:2] - others[:2]).abs().max()
        alone = rows([one])
        assert alone.about.tolist() == [batches.number[0]] * len(one[1]) and rows([two]).about.tolist() == [UNSAID] * len(two[1])
        assert alone.targets.tolist() == one[1] and alone.wanted.sum() == len(one[1]) and alone.wanted[0, len(one[0]) - 1]
        mask = attention_mask(alone.parts, alone.prefix, PATCHES, torch.float32)[0, 0] == 0
        start, end = PATCHES, PATCHES + len(one[0])
        assert mask[0, start:end].all() and not mask[0, end] and mask[start, end - 1] and mask[end, :end].all()
        packed = rows([one, two])
        assert not (attention_mask(packed.parts, packed.prefix, PATCHES, torch.float32)[0, 0, 0] == 0)[start:].any()


def where_it_looks():
    names, about = torch.tensor([[3, 3, 1, UNSAID], [1, 1, 1, 1], [3, 1, 1, 1]]), torch.tensor([3, 3, UNSAID])
    looks = torch.tensor([[[0.4, 0.5, 0.09, 0.01], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]).log()
    right = look_loss(looks, names, about)  # of the first alone: of the second it is not there, of the third nothing is asked about
    assert abs(right + math.log(0.9)) < 1e-3 and look_loss(looks.flip(2), names, about) > 2 > right
    assert look_loss(looks[:, 1:], names[1:], about[1:]) == 0


if __name__ == "__main__":
    for check in (boxes_and_masks, right_answers, what_patches_show, where_it_looks, as_transformers_has_it):
        check()
        print(check.__name__.replace("_", " "), flush=True)
