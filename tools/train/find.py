"""Trains ocelli-tiny-find: `find.py FOLDER` and loop.py's options. What is trained is transformers' Owlv2ForObjectDetection itself, from
ocelli-tiny's picture tower. FOLDER has the pictures of art.py and scenes.py and the tokenizer of find_words.py.

The loss: a thing belongs to the patch in which its middle lies, and less and less to those around it, as in "Objects as Points" (Zhou et
al. 2019); so nothing is matched, and one patch answers for each thing. There its name is to be found, among those of the batch and others,
and near it the box, by its edges and its generalised IoU. Each patch that a thing fills says its name as well, and each where nothing is, none:
this is what ocelli-tiny-mask needs of the towers.

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

FURTHER = 6459, 160584  # steps that the weights in the repository were trained, and pictures that they have seen
QUERIES = 64  # names that are looked for in a batch
SMALL = 12000  # steps with pictures of half the side
TOWER = 0.5  # the picture tower's part of the rates
SPREAD = 0.2  # of a thing over patches: its standard deviation in sides of the box
NEAR = 0.3  # how much of a thing a patch has that must say its box
FILLED, EMPTY = 0.5, 0.05  # shares of a patch from which on, and up to which, a thing is there
SHARPNESS = 20.0  # of the cosines of patches and names
NONE = 0.3  # a patch that shows nothing has a lower cosine with every name


def truth(pictures, queries, grid):
    """Where what is: [B, patches, queries] from 0 to 1, 1 at the patch of each thing's middle; each patch's likeliest thing's box
    (centre, width, height) [B, patches, 4], weight [B, patches] and name [B, patches]."""
    at = (np.arange(grid) + 0.5) / grid
    heat = np.zeros((len(pictures), grid, grid, len(queries)), np.float32)
    boxes, weight = np.zeros((len(pictures), grid, grid, 4), np.float32), np.zeros((len(pictures), grid, grid), np.float32)
    names = np.zeros(weight.shape, np.int64)
    place = {c: k for k, c in enumerate(queries)}
    for m, picture in enumerate(pictures):
        for t in picture.things:
            (y, x), (top, left, bottom, right) = t.centre, t.box
            wide, high = right - left, bottom - top
            near = np.exp(-(((at[:, None] - y) / high) ** 2 + ((at - x) / wide) ** 2) / (2 * SPREAD**2))
            i, j = min(int(y * grid), grid - 1), min(int(x * grid), grid - 1)
            near[i, j] = 1
            heat[m, :, :, place[t.concept]] = np.maximum(heat[m, :, :, place[t.concept]], near)
            nearer = near > weight[m]
            boxes[m][nearer], weight[m][nearer], names[m][nearer] = (x, y, wide, high), near[nearer], place[t.concept]
    return tuple(torch.from_numpy(x).flatten(1, 2) for x in (heat, boxes, weight, names))


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


def generalised_iou(a, b):
    """Of boxes by centre, width and height."""
    (al, at, ar, ab), (bl, bt, br, bb) = (torch.cat([x[..., :2] - x[..., 2:] / 2, x[..., :2] + x[..., 2:] / 2], -1).unbind(-1) for x in (a, b))
    inner = (torch.minimum(ar, br) - torch.maximum(al, bl)).clamp(0) * (torch.minimum(ab, bb) - torch.maximum(at, bt)).clamp(0)
    union = (ar - al) * (ab - at) + (br - bl) * (bb - bt) - inner
    hull = (torch.maximum(ar, br) - torch.minimum(al, bl)) * (torch.maximum(ab, bb) - torch.minimum(at, bt))
    return inner / union - (hull - union) / hull


def spotted(logits, heat):
    """Focal loss of "Objects as Points": near a middle it costs less to say yes."""
    p = logits.sigmoid()
    yes = heat == 1
    loss = torch.where(yes, (1 - p) ** 2 * F.logsigmoid(logits), (1 - heat) ** 4 * p**2 * F.logsigmoid(-logits))
    return -loss.sum() / yes.sum().clamp(1)


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
        heat, boxes, weight, named = (x.to(self.device) for x in truth(pictures, queries, side // PATCH))
        seen, sought, logits, found, things = working(pixels.to(self.device), texts.to(self.device), dtype)
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
            "thing": 0.5 * spotted(things, heat.amax(-1)),
        }
        return sum(parts.values()), parts

    def export(self, folder):
        export(self.model.owl, self.words, folder, image_processor_type="Owlv2ImageProcessor", processor_class="Owlv2Processor", do_pad=True)


if __name__ == "__main__":
    loop.train(Find)
