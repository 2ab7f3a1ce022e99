"""The usual mistakes of Florence-2, each made on purpose, and how far it moves the first logits: ‖difference‖ / ‖centred logits‖."""

import torch
from torch import nn
from torch.nn import functional as F

from decoder_wrong import FLOOR, patched


def distance(wrong, right):
    return ((torch.nan_to_num(wrong, 1e3, 1e3, -1e3) - right).norm() / (right - right.mean()).norm()).item()


def masked_windows(attention):
    """Padding that takes no part: what windows look like where it is masked."""
    def forward(x):
        _, height, width, dim = x.shape
        size, heads = attention.window_size, attention.num_heads
        low, right = -height % size, -width % size
        cut = lambda y: y.unfold(1, size, size).unfold(2, size, size).permute(0, 1, 2, 4, 5, 3).flatten(1, 2).flatten(2, 3)[0]
        there = cut(F.pad(torch.ones(1, height, width, 1), (0, 0, 0, right, 0, low)))[..., 0] > 0
        rows = cut(F.pad(x, (0, 0, 0, right, 0, low)))
        q, k, v = attention.qkv(rows).unflatten(-1, (3, heads, dim // heads)).permute(2, 0, 3, 1, 4)
        scores = (q @ k.mT * attention.scale).masked_fill(~there[:, None, None], float("-inf"))
        rows = attention.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        grid = rows.unflatten(0, ((height + low) // size, (width + right) // size)).unflatten(2, (size, size))
        return grid.permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)[:height, :width].reshape(1, height * width, dim)
    return forward


def over_tokens(attention, scale=None, axis=-1):
    """Channel attention with another scale, or with the softmax over the other axis."""
    def forward(x):
        _, count, dim = x.shape
        q, k, v = attention.qkv(x).reshape(1, count, 3, attention.groups, dim // attention.groups).permute(2, 0, 3, 4, 1)
        scores = q @ k.mT * (scale(dim // attention.groups) if scale else count ** -0.5)
        return attention.proj((scores.softmax(axis) @ v).permute(0, 3, 1, 2).reshape(1, count, dim))
    return forward


def tower_mistakes(reference):
    tower, projector = reference.model.model.vision_tower, reference.model.model.multi_modal_projector
    of = lambda name: [m for m in tower.modules() if type(m).__name__ == f"Florence2Vision{name}"]
    windows, channels = of("WindowAttention"), of("ChannelAttention")
    yield "padding of windows masked", [(a, "forward", masked_windows(a)) for a in windows]
    yield "windows of 4", [(a, "window_size", 4) for a in windows]
    yield "channel attention over the other axis", [(a, "forward", over_tokens(a, axis=-2)) for a in channels]
    yield "channel attention by the size of a group", [(a, "forward", over_tokens(a, scale=lambda size: size ** -0.5)) for a in channels]
    yield "one group of channels", [(a, "groups", 1) for a in channels]
    bare = lambda conv: lambda x: F.conv2d(x, conv.weight, conv.bias, padding=1, groups=conv.groups) - x
    depthwise = [conv for name in ("SpatialBlock", "ChannelBlock") for b in of(name) for conv in (b.conv1, b.conv2)]
    yield "convolutions without residual", [(conv, "forward", bare(conv)) for conv in depthwise]
    yield "kernels turned", [(conv.weight, "data", conv.weight.data.mT.contiguous()) for conv in depthwise]
    yield "norms after every convolution", [(c, "forward", late(c)) for c in of("ConvEmbed")[1:] if c.pre_norm and c.conv.in_channels == c.conv.out_channels]
    place = projector.image_position_embed
    yield "rows and columns exchanged", [(place, "row_embeddings", place.column_embeddings), (place, "column_embeddings", place.row_embeddings)]
    time = projector.visual_temporal_embed
    yield "no time", [(time, "pos_idx_to_embed", torch.zeros_like(time.pos_idx_to_embed))]
    yield "time of the next picture", [(time, "pos_idx_to_embed", time.pos_idx_to_embed.roll(-1, 0))]
    forward = projector.forward
    yield "mean token last", [(projector, "forward", lambda x: forward(x).roll(-1, 1))]


def late(conv):
    def forward(x):
        return conv.norm(conv.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return forward


def language_mistakes(reference):
    language = reference.model.model.language_model
    for name, part in dict(encoder=language.encoder, decoder=language.decoder).items():
        positions = part.embed_positions
        yield f"positions of the {name} off by 2", [(positions, "offset", 0)]
        yield f"no norm of the {name}'s embeddings", [(part, "layernorm_embedding", nn.Identity())]
    root = language.config.d_model ** 0.5
    yield "embeddings by √d_model", [(part.embed_tokens, "embed_scale", root) for part in (language.encoder, language.decoder)]
    layers = [*language.encoder.layers, *language.decoder.layers]
    yield "gelu by tanh", [(layer, "activation_fn", nn.GELU(approximate="tanh")) for layer in layers]
    cross = [layer.encoder_attn for layer in language.decoder.layers]
    yield "cross attention of the layer before", [(a, part, getattr(cross[i - 1], part)) for i, a in enumerate(cross) for part in ("k_proj", "v_proj")]
    yield "keys and values of cross attention exchanged", [(a, *c) for a in cross for c in (("k_proj", a.v_proj), ("v_proj", a.k_proj))]


def report(reference, inputs, tokens, steps):
    """By mistake, its distance."""
    right, found = reference.logits(inputs), {}
    for mistakes in (tower_mistakes, language_mistakes):
        for what, changes in mistakes(reference):
            if changes:
                with patched(changes):
                    found[what] = distance(reference.logits(inputs), right)
    pixels = inputs["pixel_values"]
    found["blue before red"] = distance(reference.logits(dict(inputs, pixel_values=pixels.flip(-3))), right)
    ids = inputs["input_ids"]
    behind = dict(inputs, input_ids=torch.cat([ids[:, 10:], ids[:, :10]], 1))
    found["the picture behind the text"] = distance(reference.logits(behind), right)
    start = lambda ids: reference.model(**inputs, decoder_input_ids=torch.tensor([ids])).logits[0, -1]
    found["no <s> before the text"] = distance(start([2]), right)
    found["no </s> before the text"] = distance(start([0]), right)
    # A later step whose cache of cross attention is another prompt's.
    other = reference.inputs("tiny-7x5.png")
    found["cross attention of another picture"] = distance(reference.logits(other, tokens[:3]), steps[3])
    assert distance(reference.logits(inputs), right) == 0, "a mistake was not undone"
    assert min(found.values()) > FLOOR, found
    return {what: float(f"{share:.3g}") for what, share in found.items()}
