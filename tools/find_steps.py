"""The heads of OWL-ViT, OWLv2 and CLIPSeg, restated step by step: make_find_fixtures.py records every step, and find_wrong.py takes
single steps wrongly. A keyword replaces the step of that name; without any, the numbers are those of transformers.
"""

from types import SimpleNamespace

import torch
from torch.nn import functional as F


def towers(model):
    return getattr(model, model.base_model_prefix)


def nearly_unit(x):
    return x / (x.norm(dim=-1, keepdim=True) + 1e-6)


def mlp(head, x, gelu):
    return head.dense2(gelu(head.dense1(gelu(head.dense0(x)))))


OWL = dict(
    post_norm=lambda model, states: towers(model).vision_model.post_layernorm(states),
    merge=lambda tokens: tokens[:, 1:] * tokens[:, :1],
    merged_norm=lambda model, x: model.layer_norm(x),
    bias=lambda model: model.box_bias,
    gelu=F.gelu,
    class_norm=nearly_unit,
    query_norm=nearly_unit,
    logits=lambda cos, shift, scale: (cos + shift) * (F.elu(scale) + 1),
    objectness_head=lambda model: model.objectness_head,
)


def owl(model, states, queries, **wrong):
    """From what the last block gives, [B, 1 + T, width], and the queries, [Q, width of the text tower]."""
    do = SimpleNamespace(**{**OWL, **wrong})
    normed = do.post_norm(model, states)
    merged = do.merged_norm(model, do.merge(normed))
    raw, bias = mlp(model.box_head, merged, do.gelu), do.bias(model)
    class_embeds = model.class_head.dense0(merged)
    cos = do.class_norm(class_embeds) @ do.query_norm(queries).T
    shift, scale = model.class_head.logit_shift(merged), model.class_head.logit_scale(merged)
    steps = {
        "vision.post_norm": normed, "merged": merged, "box.raw": raw, "box.biased": raw + bias, "boxes": (raw + bias).sigmoid(),
        "class_embeds": class_embeds, "cos": cos, "shift": shift, "scale": scale, "logits": do.logits(cos, shift, scale)}
    if hasattr(model, "objectness_head"):
        steps["objectness"] = mlp(do.objectness_head(model), merged, do.gelu)[..., 0]
    return steps


def film(x, factor, addend):
    return factor * x + addend


def transposed(image, layer, kernel):
    return F.conv_transpose2d(image, kernel(layer.weight), layer.bias, stride=layer.stride)


CLIPSEG = dict(
    order=lambda activations: activations[::-1],
    skip=lambda reduced, x: reduced + x,
    condition=lambda c: c,
    film=film,
    film_at=0,
    film_after=None,
    layer=lambda layer, x: layer(x, attention_mask=None),
    kernel=lambda weight: weight,
    conv_kernel=lambda weight: weight,
    conv_edges="constant",
    conv_relu=F.relu,
    up_relu=F.relu,
)


def clipseg(model, activations, conditions, **wrong):
    """From a picture's activations in the order of `extract_layers`, [1 + T, width] each, and the conditions of P prompts,
    [P, projection]. Steps after the last block have channels last; `logits` is [P, side, side]."""
    do, decoder = SimpleNamespace(**{**CLIPSEG, **wrong}), model.decoder
    conditions = do.condition(conditions)
    modulation = decoder.film_mul(conditions)[:, None], decoder.film_add(conditions)[:, None]
    steps, x = {}, None
    for i, (activation, layer, reduce) in enumerate(zip(do.order(activations), decoder.layers, decoder.reduces)):
        reduced = steps[f"reduce.{i}"] = reduce(activation)
        x = reduced.expand(len(conditions), -1, -1) if x is None else do.skip(reduced, x)
        if i == do.film_at:
            x = steps["film"] = do.film(x, *modulation)
        x = do.layer(layer, x)
        if i == do.film_after:
            x = do.film(x, *modulation)
        steps[f"decoder.{i}"] = x
    n = round((x.shape[1] - 1) ** 0.5)
    image = x[:, 1:].transpose(1, 2).reshape(len(x), -1, n, n)
    convolution = decoder.transposed_convolution
    if isinstance(convolution, torch.nn.Sequential):
        conv, _, up1, _, convolution = convolution
        padded = F.pad(image, (1, 1, 1, 1), mode=do.conv_edges)
        image = do.conv_relu(F.conv2d(padded, do.conv_kernel(conv.weight), conv.bias))
        steps["conv3"] = image.permute(0, 2, 3, 1)
        image = do.up_relu(transposed(image, up1, do.kernel))
        steps["up1"] = image.permute(0, 2, 3, 1)
    steps["logits"] = transposed(image, convolution, do.kernel)[:, 0]
    return steps


def upsampled(logits, width, height):
    return F.interpolate(logits[:, None], size=(height, width), mode="bilinear", align_corners=False)[:, 0]
