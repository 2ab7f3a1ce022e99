"""Makes the two fixtures in open_clip's own format: tests/fixtures/open-clip and open-clip-siglip.

    pip install -r tools/requirements.txt
    python tools/make_open_clip_fixtures.py  # from the root of the repository, after make_fixtures.py, whose pictures it uses

The reference is open_clip_torch in float32: its model, its preprocessing (torchvision on PIL pictures) and its tokenizers.
What is written and measured, and in which form, is said in make_fixtures.py. Pictures are converted to RGB before they are
resized, which open_clip itself does afterwards: for palettes and for alpha that gives other pixels, and Ocelli converts first.
"""

import gzip
import json
import os
import shutil
import tempfile
import types
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from open_clip.transformer import QuickGELU
from PIL import Image
from safetensors.torch import save_file
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer
from torchvision import transforms

from fixture_tokenizers import clip_tokenizer, clip_vocabulary, gemma_tokenizer, write_json
from make_fixtures import (OUT, TAP_IMAGE, TEXTS, check_size, fill, make_golden, reporter, unit)

# What open_clip cleans before it tokenizes: entities (also twice escaped, and without a semicolon), curly quotes, ligatures,
# and underscores, which become spaces in one of its rules.
CLEANED = [
    "caf&eacute; &amp;amp; a_red_bicycle &lt;3 &#233;&copy 2",
    "\u201cit\u2019s\u201d the \ufb01ne\u00a0dog\u2014\u2026\r\nÉTÉ",
    "the &lt;green> _tree_, &AMP; 3 &notit; dogs",
]

MODELS = {
    # open_clip's plain CLIP. The MLP's width is int(40 * 2.29) = 91, rounded down. Patches leave a rest of 2
    # pixels. The preprocessing is left out but for mean and std, as in the oldest folders.
    "open-clip": dict(
        seed=22, dtype=torch.float16, logit_scale=20.0, tokenizer=clip_tokenizer,
        model=dict(embed_dim=34, quick_gelu=True,
                   vision_cfg=dict(image_size=38, layers=2, width=40, head_width=20, mlp_ratio=2.29, patch_size=12, patch_dropout=0.5),
                   text_cfg=dict(context_length=16, width=28, heads=2, layers=2, mlp_ratio=1.9)),
        preprocess=dict(mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD)),
    # timm's SigLIP tower has exact gelu, the text tower of SigLIP 2 the tanh approximation. open_clip takes a timm tower's sizes
    # from its name alone; Ocelli takes those of names that timm does not know from the fields beside it, which open_clip ignores.
    "open-clip-siglip": dict(
        seed=8, dtype=torch.bfloat16, logit_scale=14.0, logit_bias=-6.0, tokenizer=gemma_tokenizer,
        model=dict(embed_dim=32, init_logit_bias=-10, custom_text=True,
                   vision_cfg=dict(image_size=42, timm_model_name="vit_tiny_patch14_siglip_42", timm_model_pretrained=False,
                                   timm_pool="map", timm_proj="none", width=32, layers=2, head_width=16, patch_size=14, mlp_ratio=1.8),
                   text_cfg=dict(context_length=12, hf_tokenizer_name="ocelli/open-clip-siglip",
                                 tokenizer_kwargs=dict(clean="canonicalize"), width=24, heads=2, layers=2, mlp_ratio=1.7362,
                                 no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs=dict(eps=1e-6),
                                 act_kwargs=dict(approximate="tanh"))),
        preprocess=dict(mean=[0.5] * 3, std=[0.5] * 3, interpolation="bilinear", resize_mode="squash")),
}


@register_model
def vit_tiny_patch14_siglip_42(pretrained=False, **options):
    """As timm's vit_base_patch16_siglip_224 and its sisters are made, but small."""
    for key in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(key, None)
    return VisionTransformer(**dict(dict(img_size=42, patch_size=14, embed_dim=32, depth=2, num_heads=2, mlp_ratio=1.8,
                                         class_token=False, global_pool="map"), **options))


def open_model(folder, **options):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}", **options)
    return model.eval(), preprocess


def make_checkpoint(folder, spec):
    """A folder as open_clip's push_to_hf_hub.py writes it."""
    folder.mkdir(parents=True)
    text = dict(max_position_embeddings=spec["model"]["text_cfg"]["context_length"])
    spec["tokenizer"](folder, text | dict(eos_token_id=0))
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    spec["model"]["text_cfg"]["vocab_size"] = len(tokens)
    write_json(folder / "open_clip_config.json", dict(model_cfg=spec["model"], preprocess_cfg=spec["preprocess"]))
    model, _ = open_model(folder, load_weights=False)
    fill(model, spec)
    save_file({name: tensor.contiguous() for name, tensor in model.to(spec["dtype"]).state_dict().items()},
              folder / "open_clip_model.safetensors")


def simple_tokenizer(length):
    """open_clip's own, which brings its vocabulary along; here the fixtures', in the file that it reads."""
    _, merges = clip_vocabulary()
    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        file.write(gzip.compress("\n".join(["#version", *merges]).encode()))
        file.flush()
        return SimpleTokenizer(file.name, context_length=length)


class Reference:
    """The folder as open_clip opens it. Weights of any type are widened to float32."""

    def __init__(self, folder, spec):
        self.clip = "timm_model_name" not in spec["model"]["vision_cfg"]
        self.model, self.preprocess = open_model(folder)
        length = spec["model"]["text_cfg"]["context_length"]
        if self.clip:
            self.tokenizer = simple_tokenizer(length)
            self.eos = self.tokenizer.eot_token_id
        else:
            self.tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
            assert isinstance(self.tokenizer, HFTokenizer)
            self.eos = self.tokenizer.tokenizer.eos_token_id
        self.mean, self.std = self.model.visual.image_mean, self.model.visual.image_std

    def ids(self, texts):
        return self.tokenizer(texts)

    def pixels(self, images):
        return torch.stack([self.preprocess(image) for image in images])

    def square(self, image):
        """The steps up to the tensor."""
        for step in self.preprocess.transforms:
            if isinstance(step, transforms.ToTensor):
                return np.array(image)
            image = step(image)

    def embed_images(self, pixels):
        return self.model.encode_image(pixels, normalize=True)

    def embed_texts(self, ids):
        return self.model.encode_text(ids, normalize=True)

    def run(self, ids, pixels):
        logits, _ = self.model.get_logits(pixels, ids)
        return types.SimpleNamespace(image_embeds=self.embed_images(pixels), text_embeds=self.embed_texts(ids),
                                     logits_per_image=logits)


def record_taps(reference, ids, pixels):
    model, taps, hooks = reference.model, {}, []

    def tap(name, module, of_input=False, place=None):
        def keep(_, arguments, output):
            value = (arguments[0] if of_input else output)[0]  # without the batch dimension
            taps[name] = value.clone() if place is None else value[place].clone()
        hooks.append(module.register_forward_hook(keep))

    vision, text = model.visual, model if reference.clip else model.text
    blocks = {"vision": vision.transformer.resblocks if reference.clip else vision.trunk.blocks, "text": text.transformer.resblocks}
    for side, stack in blocks.items():
        for i, block in enumerate(stack):
            tap(f"{side}.block.{i}", block)
        tap(f"{side}.embed", vision.ln_pre if side == "vision" and reference.clip else stack[0], of_input=True)
    tap("text.pooled", text.ln_final, place=ids[0].argmax() if reference.clip else -1)
    if reference.clip:
        tap("vision.pre_norm", vision.ln_pre)
        tap("vision.pooled", vision.ln_post, place=0)
    else:
        tap("vision.pooled", vision.trunk.attn_pool)
    taps["vision.embedding"] = model.encode_image(pixels)[0]
    taps["text.embedding"] = model.encode_text(ids)[0]
    for hook in hooks:
        hook.remove()
    assert all(value.isfinite().all() and value.abs().max() < 1000 for value in taps.values())
    return {name: taps[name].contiguous() for name in sorted(taps)}


def measure(name, reference, images, ids, out, distance):
    """The mistakes that this format invites, beside those that make_fixtures.py measures for both families."""
    model, report = reference.model, reporter(name, out, distance)
    pixels = reference.pixels(images)

    # Cropped like transformers, which rounds the offset down.
    if reference.clip:
        resize, crop, *rest = reference.preprocess.transforms
        floored = []
        for image in images:
            resized = resize(image)
            left, top = ((side - crop.size[0]) // 2 for side in resized.size)
            square = resized.crop((left, top, left + crop.size[0], top + crop.size[0]))
            for step in rest:
                square = step(square)
            floored.append(square)
        floored = torch.stack(floored)
        rows = (floored != pixels).flatten(1).any(1).nonzero()[:, 0]
        assert len(rows) >= 5
        report(f"crop rounded down ({len(rows)} pictures)", "image", reference.embed_images(floored), rows)

    def broken(what, change, floor=0.05, kinds=("image", "text")):
        """The state dict changed, and put back."""
        kept = {key: value.clone() for key, value in model.state_dict().items()}
        changed = {key: change(key, value.clone()) for key, value in kept.items()}
        model.load_state_dict(changed)
        if "image" in kinds:
            report(what, "image", reference.embed_images(pixels), floor=floor)
        if "text" in kinds:
            report(what, "text", reference.embed_texts(ids), floor=floor)
        model.load_state_dict(kept)

    joined = lambda key: "in_proj" in key or "attn.qkv" in key
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        broken(f"q, k, v taken as {order}",
               lambda key, value: torch.cat([value.chunk(3)[i] for i in order]) if joined(key) else value)
    if not reference.clip:
        broken("the head's k and v exchanged",
               lambda key, value: torch.cat(value.chunk(2)[::-1]) if "attn_pool.kv" in key else value, kinds=("image",))

    acts = [(owner, key, act) for owner in model.modules() for key, act in owner.named_children()
            if isinstance(act, (torch.nn.GELU, QuickGELU))]
    for what, act in dict(exact=torch.nn.GELU(), tanh=torch.nn.GELU("tanh"), quick=QuickGELU()).items():
        for owner, key, _ in acts:
            setattr(owner, key, act)
        for kind, found, right in (("image", reference.embed_images(pixels), out.image_embeds),
                                   ("text", reference.embed_texts(ids), out.text_embeds)):
            if not torch.equal(found, right):  # what the tower has is no mistake
                report(f"activation {what}", kind, found, floor=5e-5)
    for owner, key, act in acts:
        setattr(owner, key, act)

    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    eps = [norm.eps for norm in norms]
    for norm in norms:
        norm.eps = 1e-5 if norm.eps == 1e-6 else 1e-6
    report("the other family's epsilon", "image", reference.embed_images(pixels), floor=0)
    report("the other family's epsilon", "text", reference.embed_texts(ids), floor=0)
    for norm, value in zip(norms, eps):
        norm.eps = value
    assert torch.equal(reference.embed_images(pixels), out.image_embeds), "everything was put back"


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    image_names = json.loads((OUT / "clip" / "golden.json").read_text())["images"]
    texts = TEXTS[:-2] + CLEANED + TEXTS[-2:]
    for name, spec in MODELS.items():
        shutil.rmtree(OUT / name, ignore_errors=True)
        make_checkpoint(OUT / name, spec)
        make_golden(OUT / name, Reference(OUT / name, spec), list(image_names), texts, record_taps, measure)
    check_size()


if __name__ == "__main__":
    main()
