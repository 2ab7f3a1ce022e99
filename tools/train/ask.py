"""Trains ocelli-tiny-ask: `ask.py FOLDER` and loop.py's options. FOLDER has the pictures of art.py and scenes.py, the tokenizer of
words.py, and what ask_start.py made of ocelli-tiny-find.

The loss: cross-entropy of the answers; and, so that each patch soon knows what it shows, of what is true of the thing at its middle: its
name, its colour, how many there are, where it is, what is beside it, and how far its edges are; and, so that an answer is about the right
thing, of where two heads look.
"""

import math

import torch
import torch.nn.functional as F

import loop
import shipped
from ask_batch import UNSAID, Batches, Patches
from ask_export import export, names as published
from ask_model import TEXT, VISION, PaliGemma
from names import Names
from questions import SIDES
from truth import World, known, variety

FURTHER = 9762, 156192  # steps that the weights in the repository were trained, and pictures that they have seen
TOWER = 0.4  # the picture tower's part of the rates, as it knows things already
AHEAD = 1500  # steps of find's after which pictures were as varied as the first ones here
ALONE_EACH, COOLING_ALONE_EACH = 6, 3  # one step of so many has a question a row, as PaliGemma is asked; more of them while the rate falls
WEIGHTS = {"name": 0.3, "colour": 0.1, "count": 0.3, "where": 0.2, "beside": 0.05, "edges": 1.0}  # of what patches say
LARGEST = 1.4  # a query's or a key's matrix, in the mean, as a multiple of how it starts
LOOK = 0.3  # what it counts that two heads look at what is asked about
SMOOTH = 0.2  # of a place's weight, on each of the two beside it


class Heads(torch.nn.Module):
    """What each patch is asked while the model learns; not part of the model. It answers in the words' own vectors: so the decoder finds a
    word's thing among the patches, and says what it is asked of it, by what is alike."""

    def __init__(self, said):
        """`said` are the shares of tokens in what is answered, as Batches.said has them."""
        super().__init__()
        for kind, shares in said.items():
            self.register_buffer(kind, shares, persistent=False)
        self.nothing = torch.nn.Parameter(torch.zeros(TEXT["hidden_size"]))
        self.edges = torch.nn.Linear(VISION["hidden_size"], 4)
        self.beside = torch.nn.Linear(VISION["hidden_size"], len(SIDES) * TEXT["hidden_size"], bias=False)
        torch.nn.init.normal_(self.edges.weight, std=0.02)
        torch.nn.init.zeros_(self.edges.bias)

    def forward(self, model, seen, truth):
        grid = VISION["image_size"] // VISION["patch_size"]
        shown = F.rms_norm(model.projector(seen), seen.shape[-1:])
        words = {kind: getattr(self, kind).to(shown.dtype) @ model.embed_tokens.weight for kind in ("name", "colour", "count", "where")}
        losses = {kind: sum(says(shown, form, getattr(truth, kind)) for form in forms) / len(forms) for kind, forms in words.items()}
        nothing = F.logsigmoid((shown @ self.nothing).float() * torch.where(truth.name == UNSAID, 1, -1))
        losses["name"] = losses["name"] - nothing.mean()
        neighbours = F.rms_norm(self.beside(seen).unflatten(-1, (len(SIDES), -1)), shown.shape[-1:]).movedim(2, 0)
        losses["beside"] = says(neighbours, words["name"][0], truth.beside)
        at = (torch.arange(grid, device=seen.device) + 0.5) / grid
        middles = torch.stack([at[:, None].expand(grid, grid), at.expand(grid, grid)], 2).flatten(0, 1).repeat(1, 2)
        here = truth.edges[..., 2] > 0
        losses["edges"] = F.l1_loss((self.edges(seen).float() + middles)[here], truth.edges[here]) if here.any() else shown.sum() * 0
        return losses


def says(vectors, words, truth):
    """Cross-entropy of those patches of which something is to be said."""
    known = truth != UNSAID
    return F.cross_entropy((vectors[known] @ words.T).float(), truth[known]) if known.any() else vectors.sum() * 0


class Ask(loop.Job):
    name, size = "ask", 16

    def __init__(self, folder, device):
        names = Names(folder)
        self.words, self.device = folder / "words.json", device
        self.batches = Batches(World(folder, names, VISION["image_size"], self.size), self.words)
        self.model = torch.nn.ModuleDict({"model": PaliGemma(self.batches.size, self.batches.places), "heads": Heads(self.batches.said())}).to(device)
        self.model["model"].load_state_dict(torch.load(folder / "ask-start.pt", map_location=device, weights_only=True))

    def go_further(self):
        stored, model = shipped.weights(shipped.ASK), self.model["model"]
        short = {k: published(k).removeprefix("vision_tower.").removeprefix("language_model.") for k in model.state_dict() if ".head." not in k}
        model.load_state_dict({k: stored[name] for k, name in short.items()}, strict=False)
        return FURTHER

    def stepped(self):
        """Keeps the decoder's queries and keys small. Muon's steps have one size, so matrices grow with their number: scores came to
        hundreds, each head saw one place alone, and none learned to look elsewhere."""
        with torch.no_grad():
            for block in self.model["model"].layers:
                for p in (block.self_attn.q_proj.weight, block.self_attn.k_proj.weight):
                    p.mul_((LARGEST * p.shape[1] ** -0.5 / p.pow(2).mean().sqrt()).clamp(max=1))

    def rate(self, parameter):
        return 0 if ".head." in parameter else TOWER if "vision_tower" in parameter else 1.0

    def losses(self, working, step, dtype, cooling):
        self.batches.world.know(known(step))
        alone = step % (COOLING_ALONE_EACH if cooling else ALONE_EACH) == 0
        pixels, rows, truth = self.batches.batch(step, variety(step + AHEAD), alone)
        picture, targets, weights, about, *row = (x.to(self.device) for x in (rows.picture, rows.targets, rows.weights, rows.about, rows.ids, rows.parts,
                                                                              rows.prefix, rows.positions, rows.wanted))
        seen = working["model"].see(pixels.to(self.device, dtype))
        logits, looks = working["model"](seen[picture], *row)
        answers, right = answer_loss(logits, targets, weights, self.batches.near.to(self.device))
        truth = Patches(*(x.to(self.device) for x in vars(truth).values()))
        look = look_loss(looks, truth.name[picture.repeat_interleave(rows.wanted.sum(1).to(self.device))], about)
        patches = working["heads"](working["model"], seen, truth)
        parts = {"answers": answers, "right": right, "look": look, **patches, "asked": rows.parts.amax(1).add(1).sum()}
        return answers + LOOK * look + sum(WEIGHTS[kind] * loss for kind, loss in patches.items()), parts

    def export(self, folder):
        export(self.model["model"], self.words, folder)


def answer_loss(logits, targets, weights, near):
    """Cross-entropy of what follows, a place being nearly as right a pixel beside; and the share that is the likeliest."""
    logp = logits.float().log_softmax(-1)
    picked = logp.gather(1, torch.stack([targets, *near[:, targets]], 1))
    sides = (near[:, targets] != targets).float() * SMOOTH
    loss = -((1 - sides.sum(0)) * picked[:, 0] + (sides.T * picked[:, 1:]).sum(1))
    return (loss * weights).sum() / weights.sum(), (logp.argmax(1) == targets).float().mean()


def look_loss(looks, names, about):
    """How little is looked at what is asked about, where it is there: logarithms `looks` [heads, wanted, patches], `names` of each patch
    [wanted, patches], and the name in question [wanted]."""
    there = (names == about[:, None]) & (about != UNSAID)[:, None]
    some = there.any(1)
    return -looks[:, some].masked_fill(~there[some], -math.inf).logsumexp(2).mean() if some.any() else looks.new_zeros(())


if __name__ == "__main__":
    loop.train(Ask)
