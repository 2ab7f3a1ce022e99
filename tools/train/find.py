"""Trains ocelli-tiny-find: `find.py FOLDER` and loop.py's options. What is trained is transformers' Owlv2ForObjectDetection itself, from
ocelli-tiny's picture tower. FOLDER has the pictures of art.py and scenes.py and the tokenizer of find_words.py.

The loss: one patch answers for each thing, and all others are to be silent, so that nothing need be suppressed later. Of the patches near its
middle it is the one whose score and box are best at that step, as in "End-to-End Object Detection with Fully Convolutional Network" (Wang et
al. 2021). There its name is to be found, among those of the batch and others, and near it the box, by its edges and its generalised IoU. Each
patch that a thing fills says its name as well, and each where nothing is, none: this is what ocelli-tiny-mask needs of the towers.

    find.py FOLDER --further    from the weights in the repository, and not from ocelli-tiny's
"""

import numpy as np
import torch
import torch.nn.functional as F

import loop
import shipped
from find_model import PATCH, SIDE, Owl, export, trained
from find_words import TEMPLATES, Words
from names import Names
from truth import World, known, variety

FURTHER = 7419, 183624  # steps that the weights in the repository were trained, and pictures that they have seen
QUERIES = 64  # names that are looked for in a batch
SMALL = 6459  # steps with pictures of half the side
TOWER = 0.5  # the picture tower's part of the rates
SPREAD = 0.2  # of a thing over patches: its standard deviation in sides of the box
NEAR, CLOSE = 0.3, 0.5  # how much of a thing a patch has that must say its box, and that may answer for it
QUALITY = 0.8  # the box's part in which of those answers, and the score's is the rest
FILLED, EMPTY = 0.5, 0.05  # shares of a patch from which on, and up to which, a thing is there
SHARPNESS = 20.0  # of the cosines of patches and names
NONE = 0.3  # a patch that shows nothing has a lower cosine with every name


def truth(pictures, queries, grid):
    """Of each thing: its picture, its name's place among `queries`, its box (centre, width, height) and how near to its middle each patch
    is, from 0 to 1 [things, patches]; and of each patch, the nearest thing's box [B, patches, 4], weight and name [B, patches]."""
    at, things = (np.arange(grid) + 0.5) / grid, []
    boxes, weight = np.zeros((len(pictures), grid, grid, 4), np.float32), np.zeros((len(pictures), grid, grid), np.float32)
    names = np.zeros(weight.shape, np.int64)
    place = {c: k for k, c in enumerate(queries)}
    for m, picture in enumerate(pictures):
        for t in picture.things:
            (y, x), (top, left, bottom, right) = t.centre, t.box
            wide, high = right - left, bottom - top
            near = np.exp(-(((at[:, None] - y) / high) ** 2 + ((at - x) / wide) ** 2) / (2 * SPREAD**2)).astype(np.float32)
            i, j = min(int(y * grid), grid - 1), min(int(x * grid), grid - 1)
            near[i, j] = 1
            things.append((m, place[t.concept], np.array((x, y, wide, high), np.float32), near.ravel()))
            nearer = near > weight[m]
            boxes[m][nearer], weight[m][nearer], names[m][nearer] = (x, y, wide, high), near[nearer], place[t.concept]
    return [torch.from_numpy(np.stack(x)) for x in zip(*things)], [torch.from_numpy(x).flatten(1, 2) for x in (boxes, weight, names)]


def shown(owners, pictures, queries, grid):
    """The place among `queries` of what fills each patch, their number where nothing is, and -1 where it is not clear [B, patches]."""
    place, patches = {c: k for k, c in enumerate(queries)}, owners.reshape(len(owners), grid, PATCH, grid, PATCH)
    named = np.full((len(owners), grid, grid), -1)
    covered = np.zeros(named.shape)
    for m, picture in enumerate(pictures):
        for t in picture.things:
            share = (patches[m] == t.number).mean((1, 3))
            named[m][share >= FILLED] = place[t.concept]
            covered[m] += share
    named[covered <= EMPTY] = len(queries)
    return torch.from_numpy(named).flatten(1)


def overlap(a, b):
    """The areas that both boxes have, and that one of them has at least; boxes are by centre, width and height."""
    (al, at, ar, ab), (bl, bt, br, bb) = corners(a), corners(b)
    both = (torch.minimum(ar, br) - torch.maximum(al, bl)).clamp(0) * (torch.minimum(ab, bb) - torch.maximum(at, bt)).clamp(0)
    return both, (ar - al) * (ab - at) + (br - bl) * (bb - bt) - both


def corners(boxes):
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1).unbind(-1)


def generalised_iou(a, b):
    (al, at, ar, ab), (bl, bt, br, bb) = corners(a), corners(b)
    both, either = overlap(a, b)
    hull = (torch.maximum(ar, br) - torch.minimum(al, bl)) * (torch.maximum(ab, bb) - torch.minimum(at, bt))
    return both / either - (hull - either) / hull


@torch.no_grad()
def answering(things, logits, found):
    """1 where a patch answers for a thing of that name [B, patches, queries]."""
    picture, query, boxes, near = things
    both, either = overlap(found[picture], boxes[:, None])
    quality = logits[picture, :, query].sigmoid() ** (1 - QUALITY) * (both / either) ** QUALITY
    heat = torch.zeros_like(logits)
    heat[picture, (quality + 1e-6).where(near >= CLOSE, 0).argmax(1), query] = 1
    return heat


def spotted(logits, heat):
    """Focal loss ("Focal Loss for Dense Object Detection", Lin et al. 2017)."""
    p = logits.sigmoid()
    loss = torch.where(heat == 1, (1 - p) ** 2 * F.logsigmoid(logits), p**2 * F.logsigmoid(-logits))
    return -loss.sum() / heat.sum().clamp(1)


class Find(loop.Job):
    name, size = "find", 24
    matrix_rate, other_rate = 0.004, 1.0e-3

    def __init__(self, folder, device):
        self.folder, self.device, self.names, self.world = folder, device, Names(folder), None
        self.words = Words(folder / "find-tokenizer.json")
        self.model = Owl(len(self.words), shipped.weights(shipped.START)).to(device)

    def go_further(self):
        self.model.load_state_dict(trained()[1].state_dict())
        return FURTHER

    def rate(self, parameter):
        return TOWER if "vision_model.encoder" in parameter else 1.0

    def losses(self, working, step, dtype, cooling):
        side = SIDE // 2 if step < SMALL and not cooling else SIDE
        if self.world is None or self.world.side != side:
            self.world = World(self.folder, self.names, side, self.size, padded=True)
        self.world.know(known(step))
        pixels, owners, pictures = self.world.batch(step, variety(step))
        r = np.random.default_rng([step, 2])
        there = sorted({t.concept for p in pictures for t in p.things})
        others = r.choice(np.setdiff1d(self.world.things, there), max(0, QUERIES - len(there)), replace=False)
        queries = [*there, *(int(c) for c in others)]
        texts = self.words([r.choice(TEMPLATES).format(self.names.labels[c]) for c in queries])
        things, patches = truth(pictures, queries, side // PATCH)
        things, (boxes, weight, named) = ([x.to(self.device) for x in both] for both in (things, patches))
        seen, sought, logits, found, thing = working(pixels.to(self.device), texts.to(self.device), dtype)
        heat = answering(things, logits, found)
        patches = shown(owners, pictures, queries, side // PATCH).to(self.device)
        near = weight > NEAR
        alike = seen @ sought.T
        none = torch.full_like(alike[..., :1], NONE)
        clear = (patches >= 0) & ~(near & (patches == len(queries)))
        share = weight[near] / weight[near].sum()
        parts = {
            "spotting": spotted(logits, heat),
            "edges": 2 * (F.l1_loss(found[near], boxes[near], reduction="none").sum(-1) * share).sum(),
            "fit": ((1 - generalised_iou(found[near], boxes[near])) * share).sum(),
            "naming": (F.cross_entropy(alike[near] * SHARPNESS, named[near], reduction="none") * share).sum(),
            "showing": F.cross_entropy(torch.cat([alike, none], -1)[clear] * SHARPNESS, patches[clear]),
            "thing": 0.5 * spotted(thing, heat.amax(-1)),
        }
        return sum(parts.values()), parts

    def export(self, folder):
        export(self.model.owl, self.words, folder, image_processor_type="Owlv2ImageProcessor", processor_class="Owlv2Processor", do_pad=True)


if __name__ == "__main__":
    loop.train(Find)
