"""Where ocelli-tiny-ask starts: `ask_start.py FOLDER` writes FOLDER/ask-start.pt, from ocelli-tiny-find as it is in the repository. Its
tower is find's, its projector says of each patch what find says of it, and words start as find's texts: so a word and its thing are alike
from the beginning.

The two towers differ in little: CLIP's has a token of its own and a norm before the first block, SigLIP's has neither.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from ask_batch import Batches
from ask_model import VISION, PaliGemma
from find_model import trained
from find_words import TEMPLATES
from model import stretched
from names import Names
from truth import KNOWN, VARIED, World

SEEN = 10  # batches of pictures of which find is asked
FAR = slice(20, 32)  # pairs of a head's channels that turn so slowly that places hardly matter to them
ALIKE = 0.5  # how sharply a word looks for its thing at first


@torch.no_grad()
def start(folder):
    names, (find_words, find) = Names(folder), trained()
    find.eval()
    world = World(folder, names, VISION["image_size"], 16)
    world.know(KNOWN)
    batches = Batches(world, folder / "words.json")
    model = PaliGemma(batches.size, batches.places)
    pictures = [world.batch(k, VARIED)[0] for k in range(SEEN)]
    vision = find.owl.owlv2.vision_model
    spread = vision.embeddings(as_clip(find, pictures[0]), interpolate_pos_encoding=True)[:, 1:].std(-1).mean()
    tower = from_clip(vision, find.mean, find.std, model.vision_tower.grid, spread)
    missing, unknown = model.vision_tower.load_state_dict(tower, strict=False)
    assert not unknown and all(k.startswith("head.") for k in missing), (missing, unknown)
    alike = project(model, torch.cat([model.see(p) for p in pictures]), torch.cat([vectors(find, p) for p in pictures]))
    print(f"patches are like find's: cosine {alike:.3f} in the mean", flush=True)
    texts = of_texts(find.owl.owlv2, find_words, [names.labels[c] for c in world.things])
    name_words(model.embed_tokens.weight.data, batches.said()["name"][:, : len(texts)], texts)
    for block, directions in zip(model.layers, apart(texts, 2 * (FAR.stop - FAR.start))):
        look_for_alike(block.self_attn, directions)
    return model


def as_clip(find, pixels):
    return ((pixels + 1) / 2 - find.mean) / find.std


def vectors(find, pixels):
    """What find says of each patch [B, patches, width], of length 1."""
    grid, _ = find.owl.image_embedder(as_clip(find, pixels), interpolate_pos_encoding=True)
    return F.normalize(find.owl.class_head.dense0(grid.flatten(1, 2)), dim=-1)


def of_texts(owl, words, labels):
    """Find's vectors of names [names, width], less what all have in common, of length 1."""
    sums = 0
    for template in TEMPLATES:
        ids = words([template.format(label) for label in labels])
        sums = sums + F.normalize(owl.text_projection(owl.text_model(input_ids=ids).pooler_output), dim=-1)
    return F.normalize(sums - sums.mean(0), dim=-1)


def project(model, seen, said, ridge=1e-3):
    """Sets the projector, by least squares, to what find says of patches, less what all have in common. The last batch is not learned from:
    what is returned is how alike the two are there."""
    wanted = F.normalize(said - said.mean((0, 1)), dim=-1).flatten(0, 1)
    # A word's vector has the length 1, and the decoder sees it times the root of the width: so does it see patches.
    wanted = wanted * wanted.shape[1] ** 0.5
    x = seen.flatten(0, 1)
    last = len(x) // SEEN
    fit(model.projector, x[:-last], wanted[:-last], ridge)
    return F.cosine_similarity(model.projector(x[-last:]), wanted[-last:], dim=1).mean()


def fit(layer, x, wanted, ridge):
    """A linear layer by least squares."""
    x = F.pad(x, (0, 1), value=1.0)
    solved = torch.linalg.solve(x.T @ x + ridge * len(x) * torch.eye(x.shape[1]), x.T @ wanted)
    layer.weight.copy_(solved[:-1].T)
    layer.bias.copy_(solved[-1])


def from_clip(vision, mean, std, grid, spread):
    """SigLIP's parameters from those of a CLIP tower, without its class token, for pixels in -1 to 1. `spread` is the usual standard
    deviation of a patch's embedding."""
    own = vision.state_dict()
    tower = {k: v.clone() for k, v in own.items() if k.startswith(("encoder.", "post_layernorm."))}
    filters = own["embeddings.patch_embedding.weight"] / (2 * std)
    bias = (filters * (1 - 2 * mean)).sum((1, 2, 3))
    square = stretched(own["embeddings.position_embedding.weight"][1:], grid)
    # The norm before the blocks: its mean as it is, its division as it usually is.
    size = own["pre_layernorm.weight"] / spread
    tower["embeddings.patch_embedding.weight"] = (filters - filters.mean(0)) * size.view(-1, 1, 1, 1)
    tower["embeddings.patch_embedding.bias"] = (bias - bias.mean()) * size + own["pre_layernorm.bias"]
    tower["embeddings.position_embedding.weight"] = ((square - square.mean(1, keepdim=True)) * size).contiguous()
    return tower


def name_words(table, forms, texts, ridge=0.05):
    """Sets the rows of the tokens in names so that a name's tokens are, in the mean, as find's text is: least squares with a ridge."""
    shares = forms.flatten(0, 1)
    used = shares.sum(0) > 0
    shares, wanted = shares[:, used], texts.repeat(len(forms), 1)
    rows = torch.linalg.solve(shares.T @ shares + ridge * torch.eye(shares.shape[1]), shares.T @ wanted)
    table[used] = F.normalize(rows, dim=-1)


def apart(texts, count):
    """Two sets of so many directions [count, width] in which names differ most, neither better than the other."""
    _, _, directions = torch.linalg.svd(texts, full_matrices=False)
    turn = torch.linalg.qr(torch.randn(2 * count, 2 * count))[0]
    return (turn @ directions[: 2 * count]).split(count)


def look_for_alike(attention, directions):
    """Lets the first two heads of a block look for what is as they are, wherever it is."""
    half = attention.head // 2
    slow = torch.zeros(attention.head, dtype=torch.bool)
    slow[FAR] = slow[half + FAR.start : half + FAR.stop] = True
    attention.k_proj.weight[slow] = directions
    for query in attention.q_proj.weight.split(attention.head)[:2]:
        query[slow] = directions * ALIKE
        query[~slow] *= 0.1


if __name__ == "__main__":
    torch.manual_seed(0)
    folder = Path(sys.argv[1])
    torch.save(start(folder).state_dict(), folder / "ask-start.pt")
