"""The usual mistakes of decoders and of what feeds them pictures, each made on purpose, and how far it moves the last logits of the
prompt: ‖difference‖ / ‖centred logits‖. A mistake is a list of (object, attribute, wrong value)."""

import sys
from contextlib import contextmanager

import torch
from torch import nn
from transformers.activations import ACT2FN

from decoder_packing import packing_mistakes, several_mistakes
from decoder_reference import distance
from make_fixtures import OUT, open_image

FLOOR = 3e-5  # over the bound that right logits keep


class Nothing(nn.Module):
    def forward(self, x):
        return x.contiguous()


NOTHING = Nothing()


@contextmanager
def patched(changes):
    kept = [(what, name, getattr(what, name)) for what, name, _ in changes]
    for what, name, value in changes:
        setattr(what, name, value)
    yield
    for what, name, value in reversed(kept):
        setattr(what, name, value)


def in_pairs(q, k, cos, sin, unsqueeze_dim=1):
    """Rotates neighbours, not halves."""
    half = cos.shape[-1] // 2
    cos, sin = (x[..., :half].repeat_interleave(2, -1).unsqueeze(unsqueeze_dim) for x in (cos, sin))
    turned = lambda x: torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return q * cos + turned(q) * sin, k * cos + turned(k) * sin


def backwards(x):
    first, second = x.chunk(2, -1)
    return torch.cat([second, -first], -1)


def attention_mistakes(decoder, module):
    config, attentions = decoder.config, [layer.self_attn for layer in decoder.layers]
    every = lambda name, value: [(a, name, value) for a in attentions]
    yield "RoPE in pairs", [(module, "apply_rotary_pos_emb", in_pairs)]
    yield "RoPE backwards", [(module, "rotate_half", backwards)]
    yield "RoPE missing", [(module, "apply_rotary_pos_emb", lambda q, k, *_, **__: (q, k))]
    frequencies = {name: x for name, x in decoder.rotary_emb.named_buffers() if name.endswith("inv_freq") and "original" not in name}
    yield "frequencies off by 1 %", [(decoder.rotary_emb, name, x * 1.01) for name, x in frequencies.items()]
    if 1 < config.num_key_value_heads < config.num_attention_heads:
        yield "KV heads tiled", [(module, "repeat_kv", lambda x, n: x.repeat(1, n, 1, 1))]
    for name in ("q", "k", "v"):
        if attentions[0].get_submodule(f"{name}_proj").bias is not None:
            biases = [getattr(a, f"{name}_proj").bias for a in attentions]
            yield f"{name} bias missing", [(bias, "data", torch.zeros_like(bias)) for bias in biases]
    if hasattr(attentions[0], "q_norm"):
        yield "q_norm missing", every("q_norm", NOTHING)
        yield "k_norm missing", every("k_norm", NOTHING)
        yield "q_norm and k_norm exchanged", [(a, *change) for a in attentions for change in (("q_norm", a.k_norm), ("k_norm", a.q_norm))]
    size = attentions[0].head_dim
    if size * config.num_attention_heads != config.hidden_size:
        yield "scale of hidden / heads", every("scaling", (config.hidden_size / config.num_attention_heads) ** -0.5)
    if hasattr(config, "query_pre_attn_scalar"):
        yield "scale of the head size", every("scaling", size ** -0.5)
    if getattr(config, "attn_logit_softcapping", None):
        yield "score cap missing", every("attn_logit_softcapping", None)
    if getattr(config, "sliding_window", None):
        exchanged = {"sliding_attention": "full_attention", "full_attention": "sliding_attention"}
        yield "window + 1", [(config, "sliding_window", config.sliding_window + 1)]
        yield "window - 1", [(config, "sliding_window", config.sliding_window - 1)]
        yield "no window", [(config, "sliding_window", 1000)]
        yield "windowed layers exchanged", [(config, "layer_types", [exchanged[kind] for kind in config.layer_types])]
    if "full_attention_inv_freq" in frequencies:
        rope, (local, whole) = decoder.rotary_emb, (frequencies[f"{kind}_inv_freq"] for kind in ("sliding_attention", "full_attention"))
        yield "global RoPE local", [(rope, "full_attention_inv_freq", local)]
        yield "local RoPE global", [(rope, "sliding_attention_inv_freq", whole)]
        yield "global RoPE not divided", [(rope, "full_attention_inv_freq", whole * 8)]
        yield "local RoPE divided too", [(rope, "sliding_attention_inv_freq", local / 8)]


def decoder_mistakes(reference):
    decoder, model = reference.decoder, reference.model
    module, config = sys.modules[type(decoder).__module__], decoder.config
    mlps, gemma = [layer.mlp for layer in decoder.layers], config.model_type.startswith("gemma")
    yield from attention_mistakes(decoder, module)
    if config.model_type != "gemma" or not reference.sees:  # PaliGemma makes its masks itself
        yield "no causal mask", [(module, "create_causal_mask", lambda **_: None)]
    norms = [m for m in decoder.modules() if type(m).__name__.endswith("RMSNorm")]
    off = -1 if gemma else 1
    yield "norms by w for 1 + w" if gemma else "norms by 1 + w for w", [(m.weight, "data", m.weight.data + off) for m in norms]
    eps = "eps" if hasattr(norms[0], "eps") else "variance_epsilon"
    other = 1e-6 if getattr(norms[0], eps) > 5e-6 else 1e-5
    yield "the other eps", [(m, eps, other) for m in norms]
    yield "last norm missing", [(decoder, "norm", NOTHING)]
    yield "gate and up exchanged", [(m, *c) for m in mlps for c in (("gate_proj", m.up_proj), ("up_proj", m.gate_proj))]
    for act in ("gelu", "silu") if gemma else ("gelu", "gelu_pytorch_tanh"):
        yield f"gate by {act}", [(m, "act_fn", ACT2FN[act]) for m in mlps]
    if hasattr(decoder.embed_tokens, "embed_scale"):
        root = torch.tensor(config.hidden_size ** 0.5)
        yield "√hidden missing", [(decoder.embed_tokens, "embed_scale", torch.tensor(1.0))]
        yield "√hidden in bfloat16", [(decoder.embed_tokens, "embed_scale", root.bfloat16().float())]
    else:
        table = decoder.embed_tokens.weight
        yield "embeddings by √hidden", [(table, "data", table.data * config.hidden_size ** 0.5)]
    if model.lm_head.weight.data_ptr() != decoder.embed_tokens.weight.data_ptr():
        yield "head is the table", [(model.lm_head, "weight", decoder.embed_tokens.weight)]
    if getattr(config, "final_logit_softcapping", None):
        yield "logit cap missing", [(config, "final_logit_softcapping", None)]
    if hasattr(decoder.layers[0], "pre_feedforward_layernorm"):
        yield "norm after attention missing", [(layer, "post_attention_layernorm", NOTHING) for layer in decoder.layers]
        yield "norm after the MLP missing", [(layer, "post_feedforward_layernorm", NOTHING) for layer in decoder.layers]


def columns_first(x, factor=2):
    side = int(x.shape[1] ** 0.5) // factor
    x = x.view(len(x), side, factor, side, factor, -1).permute(0, 1, 3, 4, 2, 5)
    return x.reshape(len(x), side * side, -1)


def picture_mistakes(reference):
    """Mistakes in the model's way from squares to rows."""
    tower, connector, config = reference.tower, reference.connector, reference.model.config
    forward, name, post = connector.forward, config.model_type, tower.post_layernorm
    acts = [m for m in tower.modules() if hasattr(m, "activation_fn")]
    right = tower.config.hidden_act
    for act in sorted({"gelu", "gelu_pytorch_tanh", "quick_gelu"} - {right}):
        yield f"tower by {act}", [(m, "activation_fn", ACT2FN[act]) for m in acts]
    table = tower.embeddings.position_embedding.weight
    first = int(name == "llava")
    side = int((len(table) - first) ** 0.5)
    turned = table.data[first:].unflatten(0, (side, side)).transpose(0, 1).flatten(0, 1)
    yield "positions by columns", [(table, "data", torch.cat([table.data[:first], turned]))]
    if name in ("smolvlm", "paligemma"):
        yield "post_layernorm missing", [(tower, "post_layernorm", NOTHING)]
    else:
        yield "post_layernorm put in", [(connector, "forward", lambda x: forward(post(x)))]
        for layer in sorted({-1, -2, -3} - {config.vision_feature_layer}):
            yield f"features of layer {layer}", [(config, "vision_feature_layer", layer)]
        yield "projector by gelu_pytorch_tanh", [(connector, "act", ACT2FN["gelu_pytorch_tanh"])]
    if name == "smolvlm":
        yield "pixel shuffle by columns", [(connector, "pixel_shuffle", columns_first)]
    if name == "paligemma":
        root = reference.decoder.config.hidden_size ** 0.5
        yield "picture rows by √hidden too", [(connector, "forward", lambda x: forward(x) * root)]
        yield "picture rows divided by √hidden", [(connector, "forward", lambda x: forward(x) / root)]
    if name == "llava":
        yield "class token kept, last patch dropped", [(config, "vision_feature_select_strategy", "full"),
                                                       (connector, "forward", lambda x: forward(x[:, :-1]))]
        yield "pre_layrnorm missing", [(tower, "pre_layrnorm", NOTHING)]
    if name == "llava_onevision":
        newline = reference.model.model.image_newline
        yield "image_newline of zeros", [(newline, "data", torch.zeros_like(newline))]


def input_mistakes(reference, inputs):
    """Other inputs for the right model."""
    name, resample = reference.model.config.model_type, reference.processor.image_processor.resample
    pixels = inputs["pixel_values"]
    for filter, number in {"nearest neighbour": 0, "Lanczos": 1, "bilinear": 2, "bicubic": 3}.items():
        if number != resample:
            yield f"resized by {filter}", reference.inputs(resample=number)
    yield "blue before red", dict(inputs, pixel_values=pixels.flip(-3))
    if name == "smolvlm":
        yield "tiles exchanged", dict(inputs, pixel_values=pixels[:, [1, 0, *range(2, pixels.shape[1])]])
        yield "global picture first", dict(inputs, pixel_values=pixels.roll(1, 1))
        image = open_image(OUT / "images" / "rgb-61x37.png")
        yield "resized at once", reference.inputs(images=[image.resize((192, 128), 1)])
    if name == "llava_onevision":
        yield "tiles exchanged", dict(inputs, pixel_values=pixels[:, [0, 2, 1, *range(3, pixels.shape[1])]])
    if name == "llava":
        yield "squashed", reference.inputs(size=dict(height=36, width=36), do_center_crop=False)
    if name == "paligemma":
        yield "prefix causal", {key: value for key, value in inputs.items() if key != "token_type_ids"}


def report(reference, inputs, tokens, steps):
    """By mistake, its distance."""
    right, found = reference.logits(inputs), {}
    for mistakes in (decoder_mistakes, picture_mistakes) if reference.sees else (decoder_mistakes,):
        for what, changes in mistakes(reference):
            with patched(changes):
                found[what] = distance(reference.logits(inputs), right)
    if reference.sees:
        for what, wrong in input_mistakes(reference, inputs):
            found[what] = distance(reference.logits(wrong), right)
    if reference.model.config.model_type == "llava_onevision":
        for what, changes, wrong, own in [*packing_mistakes(reference, inputs), *several_mistakes(reference)]:
            of_own = reference.logits(own)
            with patched(changes):
                found[what] = distance(reference.logits(wrong), of_own)
    found["decode position + 1"] = distance(reference.next(inputs, tokens[0], 1), steps[1])
    if "token_type_ids" in inputs:
        found["suffix bidirectional"] = distance(reference.logits(reference.longer(inputs, tokens[:8], 0)), steps[8])
    assert distance(reference.logits(inputs), right) == 0, "a mistake was not undone"
    return {what: float(f"{share:.3g}") for what, share in found.items()}


def table(found, whole):
    """Prints every mistake's distance in every fixture; with all at hand, each must show in one."""
    for what in dict.fromkeys(what for mistakes in found.values() for what in mistakes):
        seen = {name: mistakes[what] for name, mistakes in found.items() if what in mistakes}
        print(f"{what:40}" + "; ".join(f"{name} {share:.2g}" for name, share in seen.items()))
        assert not whole or max(seen.values()) > FLOOR, f"{what} would go unnoticed"
