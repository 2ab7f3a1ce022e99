"""Trains ocelli-tiny-ask: `ask.py FOLDER` and loop.py's options. FOLDER has the pictures of art.py and scenes.py, the tokenizer of
words.py, and what ask_start.py made of ocelli-tiny-find.

The loss: cross-entropy of the answers; and, so that each patch soon knows what it shows, of the name of the thing at each patch's middle,
with the distance to the thing's edges.
"""

import torch
import torch.nn.functional as F

import loop
from ask_batch import NOTHING, Batches
from ask_export import export
from ask_model import TEXT, VISION, PaliGemma
from names import Names
from truth import World, known, variety

TOWER = 0.4  # the picture tower's part of the rates, as it knows things already
AHEAD = 1500  # steps of find's after which pictures were as varied as the first ones here
ALONE_EACH = 6  # one step of so many has a question a row, as PaliGemma is asked; every second while the rate falls
SMOOTH = 0.2  # of a place's weight, on each of the two beside it


class Heads(torch.nn.Module):
    """What each patch is asked while the model learns; not part of the model. Its name is asked in the words' own vectors: so the decoder
    finds a word's thing among the patches, and says it, by what is alike."""

    def __init__(self, forms):
        """`forms` [forms, concepts, vocabulary] are the shares of tokens in each concept's name: alone, within a sentence, and of several."""
        super().__init__()
        self.register_buffer("forms", forms, persistent=False)
        self.nothing, self.edges = torch.nn.Parameter(torch.zeros(TEXT["hidden_size"])), torch.nn.Linear(VISION["hidden_size"], 4)
        torch.nn.init.normal_(self.edges.weight, std=0.02)
        torch.nn.init.zeros_(self.edges.bias)

    def forward(self, model, seen, shows, boxes):
        grid = VISION["image_size"] // VISION["patch_size"]
        shown = model.projector(seen).flatten(0, 1)
        shown = F.rms_norm(shown, shown.shape[-1:])
        losses = 0
        for named in self.forms.to(shown.dtype) @ model.embed_tokens.weight:
            logits = shown @ torch.cat([self.nothing[None], named]).T
            losses = losses + F.cross_entropy(logits.float(), shows.flatten(), reduction="none") / len(self.forms)
        something = shows.flatten() != NOTHING
        name = losses[something].mean() + 0.3 * losses[~something].mean()
        at = (torch.arange(grid, device=seen.device) + 0.5) / grid
        middles = torch.stack([at[:, None].expand(grid, grid), at.expand(grid, grid)], 2).flatten(0, 1).repeat(1, 2)
        here = boxes[..., 2] > 0
        edges = F.l1_loss((self.edges(seen).float() + middles)[here], boxes[here]) if here.any() else name * 0
        return name, edges


class Ask(loop.Job):
    name, size = "ask", 16

    def __init__(self, folder, device):
        names = Names(folder)
        self.words, self.device = folder / "words.json", device
        self.batches = Batches(World(folder, names, VISION["image_size"], self.size), self.words)
        self.model = torch.nn.ModuleDict({"model": PaliGemma(self.batches.size, self.batches.places), "heads": Heads(self.batches.forms())}).to(device)
        self.model["model"].load_state_dict(torch.load(folder / "ask-start.pt", map_location=device, weights_only=True))

    def rate(self, parameter):
        return 0 if ".head." in parameter else TOWER if "vision_tower" in parameter else 1.0

    def losses(self, working, step, dtype, cooling):
        self.batches.world.know(known(step))
        alone = step % (2 if cooling else ALONE_EACH) == 0
        pixels, rows, truth = self.batches.batch(step, variety(step + AHEAD), alone)
        picture, targets, weights, *row = (x.to(self.device) for x in (rows.picture, rows.targets, rows.weights, rows.ids, rows.parts, rows.prefix,
                                                                       rows.positions, rows.wanted))
        seen = working["model"].see(pixels.to(self.device, dtype))
        answers, right = answer_loss(working["model"](seen[picture], *row), targets, weights, self.batches.near.to(self.device))
        name, edges = working["heads"](working["model"], seen, *(x.to(self.device) for x in truth))
        parts = {"answers": answers, "right": right, "name": name, "edges": edges, "asked": rows.parts.amax(1).add(1).sum()}
        return answers + 0.5 * name + edges, parts

    def export(self, folder):
        export(self.model["model"], self.words, folder)


def answer_loss(logits, targets, weights, near):
    """Cross-entropy of what follows, a place being nearly as right a pixel beside; and the share that is the likeliest."""
    logp = logits.float().log_softmax(-1)
    picked = logp.gather(1, torch.stack([targets, *near[:, targets]], 1))
    sides = (near[:, targets] != targets).float() * SMOOTH
    loss = -((1 - sides.sum(0)) * picked[:, 0] + (sides.T * picked[:, 1:]).sum(1))
    return (loss * weights).sum() / weights.sum(), (logp.argmax(1) == targets).float().mean()


if __name__ == "__main__":
    loop.train(Ask)
