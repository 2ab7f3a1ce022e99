"""The usual mistakes of detection and segmentation, each made on purpose, and how far it moves the fixtures' numbers: as shares of the
mean distance between what unrelated pictures give; of pixels, the largest difference in normalised units."""

import copy
import math
import sys
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional as F
from transformers.activations import ACT2FN
from transformers.image_transforms import center_to_corners_format
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from find_golden import between
from find_steps import clipseg, film, owl, towers, upsampled
from make_fixtures import unit

# What a test must be able to see: well over the bounds that right numbers keep.
FLOOR = {"logits": 2e-4, "boxes": 1e-4, "objectness": 2e-4, "masks": 2e-4, "pixels": 1e-5, "upsampled": 1e-3, "corners": 1e-3}
ROUNDING = "float64 for float32"


def shares(right, wrong):
    moved = (torch.nan_to_num(wrong, 1e3, 1e3, -1e3) - right).flatten(1).norm(dim=-1).mean().item()
    return moved / between(right)


def box_bias(n, offset=1.0, epsilon=1e-4, location=True, size=True, exchanged=False):
    at = (torch.arange(n) + offset) / n
    logit = lambda x: torch.log(x + epsilon) - torch.log1p(-x + epsilon)
    y, x = torch.meshgrid(at, at, indexing="ij")
    x, y = (y, x) if exchanged else (x, y)
    side = torch.full_like(x, 1 / n)
    found = torch.stack([logit(x) * location, logit(y) * location, logit(side) * size, logit(side) * size], -1)
    return found.flatten(0, 1)


@contextmanager
def activations(model, act):
    """All blocks with another activation."""
    modules = [m for m in model.modules() if hasattr(m, "activation_fn")]
    kept = [m.activation_fn for m in modules]
    for m in modules:
        m.activation_fn = ACT2FN[act]
    yield
    for m, function in zip(modules, kept):
        m.activation_fn = function


@contextmanager
def no_causal_mask(model):
    module = sys.modules[type(model).__module__]
    kept, module.create_causal_mask = module.create_causal_mask, lambda **_: None
    yield
    module.create_causal_mask = kept


@contextmanager
def interpolation(**options):
    """Positions interpolated otherwise."""
    kept = F.interpolate
    F.interpolate = lambda *a, **k: kept(*a, **{**k, **options})
    yield
    F.interpolate = kept


def owl_heads(model):
    """What replaces a step, and how it is called."""
    post = towers(model).vision_model.post_layernorm
    grid = towers(model).vision_model.config.image_size // towers(model).vision_model.config.patch_size
    bias = lambda **options: dict(bias=lambda _: box_bias(grid, **options))
    turned = lambda x: x.unflatten(1, (grid, grid)).transpose(1, 2).flatten(1, 2)
    yield "no merge with the class token", dict(merge=lambda x: x[:, 1:])
    yield "merged by a sum", dict(merge=lambda x: x[:, 1:] + x[:, :1])
    yield "no post_layernorm", dict(post_norm=lambda _, x: x)
    yield "no layer_norm after the merge", dict(merged_norm=lambda _, x: x)
    yield "post_layernorm on the class token only", dict(post_norm=lambda _, x: torch.cat([post(x[:, :1]), x[:, 1:]], 1))
    yield "no box bias", dict(bias=lambda _: 0)
    yield "box bias of the location only", bias(size=False)
    yield "box bias of the size only", bias(location=False)
    yield "box bias at the patches' centres", bias(offset=0.5)
    yield "box bias with x and y exchanged", bias(exchanged=True)
    yield "box bias without its epsilon", bias(epsilon=1e-12)
    yield "grid transposed", dict(merged_norm=lambda m, x: turned(m.layer_norm(x)))
    yield "heads with tanh GELU", dict(gelu=lambda x: F.gelu(x, approximate="tanh"))
    yield "heads with quick_gelu", dict(gelu=ACT2FN["quick_gelu"])
    yield "heads with ReLU", dict(gelu=F.relu)
    yield "class embedding not normalised", dict(class_norm=lambda x: x)
    yield "cos * scale + shift", dict(logits=lambda cos, shift, scale: cos * (F.elu(scale) + 1) + shift)
    yield "no shift", dict(logits=lambda cos, shift, scale: cos * (F.elu(scale) + 1))
    yield "scale is exp", dict(logits=lambda cos, shift, scale: (cos + shift) * scale.exp())
    yield "scale without + 1", dict(logits=lambda cos, shift, scale: (cos + shift) * F.elu(scale))
    yield "scale by ReLU for ELU", dict(logits=lambda cos, shift, scale: (cos + shift) * (F.relu(scale) + 1))
    yield "scale by softplus for ELU", dict(logits=lambda cos, shift, scale: (cos + shift) * (F.softplus(scale) + 1))
    if hasattr(model, "objectness_head"):
        yield "objectness by the box head's weights", dict(objectness_head=lambda m: m.box_head)


def text_mistakes(reference, ids):
    """Wrong projections of the texts; one that changes no text is left out."""
    model, base = reference.model, reference.towers
    end = reference.tokenizer.eos_token_id
    whole = reference.tokenizer(reference.texts[:len(ids)], padding="max_length", max_length=ids.shape[1])["input_ids"]
    yield "text cut without its end token", reference.projected(torch.tensor([row[:ids.shape[1]] for row in whole]))
    before_end = (ids == end).cumsum(-1) == 0
    if (marks := before_end & (ids == 0)).any():
        yield "the last ! is no pad token", reference.projected(torch.where(marks, 256, ids))
    hidden = base.text_model(ids).last_hidden_state
    yield "text pooled at the last position", base.text_projection(hidden[:, -1])
    if (ids.argmax(-1) != (ids == end).int().argmax(-1)).any():
        yield "text pooled at the highest id", base.text_projection(hidden[range(len(ids)), ids.argmax(-1)])
    yield "text pooled at the first position", base.text_projection(hidden[:, 0])
    if hidden.shape[-1] == base.text_projection.out_features:
        yield "text not projected", hidden[range(len(ids)), ids.argmax(-1)]
    with activations(base.text_model, "gelu"):
        yield "text tower with gelu", reference.projected(ids)
    with no_causal_mask(model):
        yield "text without a causal mask", reference.projected(ids)


def owl_report(reference, images, pixels, ids):
    model, queries, states = reference.model, unit(reference.projected(ids)), reference.states(pixels)[-1]
    right, found = owl(model, states, queries), {}
    kinds = [kind for kind in ("logits", "boxes", "objectness") if kind in right]
    compare = lambda what, steps: found.update({what: {kind: shares(right[kind], steps[kind]) for kind in kinds}})
    for what, wrong in owl_heads(model):
        compare(what, owl(model, states, queries, **wrong))
    compare("query not normalised", owl(model, states, reference.projected(ids), query_norm=lambda q: q))
    for what, projected in text_mistakes(reference, ids):
        compare(what, owl(model, states, unit(projected)))
    with activations(towers(model).vision_model, "gelu"):
        compare("picture tower with gelu", owl(model, reference.states(pixels)[-1], queries))
    corners = center_to_corners_format(right["boxes"])
    sides = torch.tensor([image.size * 2 for image in images.values()], dtype=torch.float32)
    longer = sides.max(-1, keepdim=True).values
    relative = lambda scale: corners * (scale / longer)[:, None]
    scales = [sides, longer.expand(-1, 4)]
    right_scale, wrong_scale = scales[::-1] if "do_pad" in reference.spec["preprocessor"] else scales
    found["boxes scaled as the other family does"] = {"corners": shares(relative(right_scale), relative(wrong_scale))}
    exact, base = copy.deepcopy(model).double(), copy.deepcopy(reference)
    base.model, base.towers = exact, towers(exact)
    rounded = owl(exact, base.states(pixels.double())[-1], unit(base.projected(ids)))
    compare(ROUNDING, rounded)
    print(f"{ROUNDING}: boxes at most {(rounded['boxes'] - right['boxes']).abs().max():.1e} of the canvas")
    return found


def clipseg_steps(model):
    """What replaces a step of the decoder."""
    def before(layer, x):
        x = x + layer.self_attn(layer.layer_norm1(x))[0]
        return x + layer.mlp(layer.layer_norm2(x))

    tokens_only = lambda x, factor, addend: torch.cat([x[:, :1], film(x[:, 1:], factor, addend)], 1)
    yield "layers not reversed", dict(order=lambda a: a)
    yield "no sum with the layer before", dict(skip=lambda reduced, x: reduced.expand_as(x))
    yield "FiLM after the block", dict(film_at=None, film_after=0)
    yield "FiLM at layer 1", dict(film_at=1)
    yield "FiLM at the last layer", dict(film_at=2)
    yield "no FiLM", dict(film_at=None)
    yield "FiLM's factor and addend exchanged", dict(film=lambda x, factor, addend: addend * x + factor)
    yield "FiLM not on the class token", dict(film=tokens_only)
    yield "condition of unit length", dict(condition=unit)
    yield "norm before attention and MLP", dict(layer=before)
    yield "transposed convolutions with x and y exchanged", dict(kernel=lambda w: w.transpose(2, 3))
    yield "transposed convolutions flipped", dict(kernel=lambda w: w.flip(2, 3))
    if isinstance(model.decoder.transposed_convolution, torch.nn.Sequential):
        yield "3 × 3 convolution without ReLU", dict(conv_relu=lambda x: x)
        yield "3 × 3 convolution with its edges repeated", dict(conv_edges="replicate")
        yield "3 × 3 convolution with x and y exchanged", dict(conv_kernel=lambda w: w.transpose(2, 3))
        yield "3 × 3 convolution flipped", dict(conv_kernel=lambda w: w.flip(2, 3))
        yield "first transposed convolution without ReLU", dict(up_relu=lambda x: x)


def masks(reference, states, conditions, off=0, **wrong):
    of = lambda picture: clipseg(reference.model, reference.activations(states, picture, off), conditions, **wrong)["logits"]
    return torch.stack([of(picture) for picture in range(len(states[0]))])


def clipseg_report(reference, images, pixels, ids):
    model, ids = reference.model, ids[:3]
    conditions, states = reference.projected(ids), reference.states(pixels)
    right, found = masks(reference, states, conditions), {}
    compare = lambda what, wrong: found.update({what: {"masks": shares(right, wrong)}})
    for off in (-1, 1):
        if min(model.config.extract_layers) + off >= -1:
            compare(f"layers {'before' if off < 0 else 'after'} those of extract_layers", masks(reference, states, conditions, off))
    for what, wrong in clipseg_steps(model):
        compare(what, masks(reference, states, conditions, **wrong))
    for what, projected in text_mistakes(reference, ids):
        compare(what, masks(reference, states, projected))
    for act in ("quick_gelu", "gelu"):
        with activations(model.decoder, act):
            compare(f"decoder with {act}", masks(reference, states, conditions))
    with activations(towers(model).vision_model, "gelu"):
        compare("picture tower with gelu", masks(reference, reference.states(pixels), conditions))
    for what, options in {"bilinear": dict(mode="bilinear"), "from corner to corner": dict(align_corners=True),
                          "antialiased": dict(antialias=True), "of the nearest": dict(mode="nearest", align_corners=None)}.items():
        with interpolation(**options):
            compare(f"positions {what}", masks(reference, reference.states(pixels), conditions))
    enlarged = dict(upsampled=upsampled(right[:, 0], 61, 37))
    for what, options in {"from corner to corner": dict(align_corners=True), "of the nearest": dict(mode="nearest", align_corners=None),
                          "bicubic": dict(mode="bicubic"), "antialiased": dict(antialias=True)}.items():
        with interpolation(**options):
            found[f"masks {what}"] = {"upsampled": shares(enlarged["upsampled"], upsampled(right[:, 0], 61, 37))}
    before = upsampled(right[:, 0].sigmoid(), 61, 37)
    found["masks enlarged after the sigmoid"] = {"upsampled": shares(enlarged["upsampled"].sigmoid(), before)}
    exact = copy.deepcopy(reference)
    exact.model.double()
    exact.towers = towers(exact.model)
    compare(ROUNDING, masks(exact, exact.states(pixels.double()), exact.projected(ids)))
    return found


def owlv2_resized(image, side, pad=True, place=0, value=0.0, shift=0.0, blur=True, radius=lambda s: int(4 * s + 0.5), mode="mirror"):
    """OWLv2's pixels, 0 to 1, from a picture's; as the reference has them, or not."""
    x = np.asarray(image, np.float32) / np.float32(255) - np.float32(shift)
    longer = max(x.shape[:2])
    if pad:
        before = [int((longer - n) * place) for n in x.shape[:2]]
        padding = [(b, longer - n - b) for b, n in zip(before, x.shape)]
        x = np.pad(x, [*padding, (0, 0)], constant_values=value)
    factors = np.array(x.shape) / np.array([side, side, 3])
    sigma = np.maximum(0, (factors - 1) / 2) * blur
    blurred = ndimage.gaussian_filter(x, sigma, mode=mode, radius=[radius(s) for s in sigma])
    return ndimage.zoom(blurred, 1 / factors, order=1, mode=mode, grid_mode=True).clip(x.min(), x.max()) + np.float32(shift)


def owlv2_pixels(reference, images):
    side, pictures = reference.spec["side"], list(images.values())
    all_of = lambda **options: np.stack([owlv2_resized(image, side, **options) for image in pictures])
    right = all_of()
    mean, std = (np.array(v, np.float32) for v in (reference.mean, reference.std))
    normal = lambda x: torch.from_numpy((x.astype(np.float32) - mean) / std)

    def pillow(filter):
        padded = [np.pad(np.asarray(p), [(0, max(p.size) - p.height), (0, max(p.size) - p.width), (0, 0)]) for p in pictures]
        return np.stack([np.asarray(Image.fromarray(p).resize((side, side), filter)) / 255 for p in padded])

    expected = reference.pixels(pictures).permute(0, 2, 3, 1)
    off = (normal(right) - expected).abs().max().item()
    assert off < 1e-6, f"the resize is restated wrongly: {off}"
    mistakes = {
        "padded with 0.5": all_of(value=0.5), "padding 0 after normalising": all_of(shift=mean), "padded on all sides": all_of(place=0.5),
        "padded at the top and left": all_of(place=1), "stretched": all_of(pad=False), "not blurred": all_of(blur=False),
        "blur of radius ceil(3 sigma)": all_of(radius=lambda s: math.ceil(3 * s)), "edges clamped": all_of(mode="nearest"),
        "edges reflected with the last row twice": all_of(mode="reflect"), "Pillow's bilinear": pillow(Image.Resampling.BILINEAR),
        "Pillow's bicubic": pillow(Image.Resampling.BICUBIC), "rounded to 8 bits": np.rint(right * 255) / 255}
    for what, wrong in mistakes.items():
        yield what, (normal(wrong) - expected).abs().max().item()


def squashed_pixels(reference, images):
    processor, pictures = reference.processor, list(images.values())
    right, side = reference.pixels(pictures), reference.spec["side"]
    padded = [Image.new("RGB", (max(p.size),) * 2) for p in pictures]
    for canvas, picture in zip(padded, pictures):
        canvas.paste(picture)
    other = 5 - processor.resample
    mistakes = {
        "the other filter": reference.pixels(pictures, resample=other), "nearest neighbour": reference.pixels(pictures, resample=0),
        "padded to a square": reference.pixels(padded),
        "shortest edge and centre crop": reference.pixels(pictures, size=dict(shortest_edge=side), do_center_crop=True,
                                                          crop_size=dict(height=side, width=side)),
        "mean and deviation of 0.5": reference.pixels(pictures, image_mean=[0.5] * 3, image_std=[0.5] * 3),
        "CLIP's mean and deviation": reference.pixels(pictures, image_mean=OPENAI_CLIP_MEAN, image_std=OPENAI_CLIP_STD)}
    for what, wrong in mistakes.items():
        if not torch.equal(wrong, right):
            yield what, (wrong - right).abs().max().item()


def report(name, reference, images, pixels, ids):
    """By kind of number and by mistake, its distance."""
    found = (owl_report if reference.detects else clipseg_report)(reference, images, pixels, ids)
    padded = "do_pad" in reference.spec["preprocessor"]
    for what, share in (owlv2_pixels if padded else squashed_pixels)(reference, images):
        found[f"pixels: {what}"] = {"pixels": share}
    by_kind = {}
    for what, kinds in found.items():
        for kind, share in kinds.items():
            by_kind.setdefault(kind, {})[what] = float(f"{share:.3g}")
    rounding = {kind: by_kind[kind].pop(ROUNDING) for kind in by_kind if ROUNDING in by_kind[kind]}
    print(f"{name}: {ROUNDING}: " + ", ".join(f"{kind} {share:.1e}" for kind, share in rounding.items()))
    return by_kind


def table(found, whole):
    """Prints every mistake's distance in every fixture; with all fixtures at hand, each must show in one of them."""
    lines = {}
    for name, kinds in found.items():
        for kind, mistakes in kinds.items():
            for what, share in mistakes.items():
                lines.setdefault(what, {})[name, kind] = share
    for what, seen in lines.items():
        print(f"{what:52}" + "; ".join(f"{name} {kind} {share:.2g}" for (name, kind), share in seen.items()))
        if whole:
            assert any(share > FLOOR[kind] for (_, kind), share in seen.items()), f"{what} would go unnoticed"
    print(f"{len(lines)} mistakes, and each shows" if whole else f"{len(lines)} mistakes")
