"""Makes the fixtures of detection and segmentation: tests/fixtures/{owlvit,owlv2,owlv2-scale,clipseg,clipseg-refined,clipseg-rd16}.

    pip install -r tools/requirements.txt
    python tools/make_find_fixtures.py          # from the root of the repository, after make_fixtures.py, whose pictures it uses
    python tools/make_find_fixtures.py --wrong  # writes nothing: how far each usual mistake moves the numbers

The reference is transformers in float32 with the image processors' "pil" backend. tests/fixtures/README.md names what is written.
"""

import argparse
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoImageProcessor, CLIPSegConfig, CLIPSegForImageSegmentation, CLIPTokenizer, OwlViTConfig,
                          OwlViTForObjectDetection, Owlv2Config, Owlv2ForObjectDetection)
from transformers.image_utils import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from find_golden import masks_golden, owl_golden
from find_steps import clipseg, owl, towers, upsampled
from find_wrong import FLOOR, report, table
from fixture_tokenizers import CORPUS, clip_tokenizer, write_json
from make_fixtures import OUT, TAP_IMAGE, TEXTS, Reference, Taps, check_size, fill, open_image, paint, store_pixels, unit

# Equal to a canvas, or only as long as it.
SHAPES = {"exact-45x45.png": (44, 45, 45), "exact-45x33.png": (45, 45, 33), "exact-48x48.png": (46, 48, 48),
          "exact-60x60.png": (47, 60, 60), "exact-96x96.png": (48, 96, 96)}
PICTURES = [TAP_IMAGE, "tall-23x97.png", "tiny-7x5.png", "one-1x1.png", "large-211x140.png", "rgba-40x53.png"]
# The pad token is special, so that the "!" at the end of a word is 0, and not the letter's number at the end of a word.
OWL_TEXTS = [*TEXTS, "wow!", "!", " ".join(CORPUS[::31])]


def tower(hidden, heads, layers, mlp, **more):
    return dict(hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=layers, intermediate_size=mlp, **more)


def pixels(size, resample, mean, std, **more):
    return dict(do_resize=True, do_normalize=True, image_mean=list(mean), image_std=list(std), resample=resample, size=size, **more)


def square(side):
    return dict(height=side, width=side)


OWLV2_PIXELS = dict(resample=2, mean=OPENAI_CLIP_MEAN, std=OPENAI_CLIP_STD, do_pad=True, do_rescale=True, rescale_factor=1 / 255,
                    image_processor_type="Owlv2ImageProcessor", processor_class="Owlv2Processor")
# Sharper attention than this would let float32's own rounding show.
CALM = {"[qk]_proj.weight": 0.5, "mlp.fc2.weight": 0.6}
# With weights as they come from `fill`, queries hardly move the logits.
OWL_WEIGHTS = dict(
    scaled={**CALM, "class_head.logit_scale.weight": 0.5, "class_head.logit_shift.weight": 0.12, "box_head.dense.*weight": 0.6},
    fixed={"class_head.logit_scale.bias": 9.0, "class_head.logit_shift.bias": -0.1})
# Without the last, the prompts would hardly matter.
MASK_WEIGHTS = {**CALM, "reduces.[12].weight": 0.15}
MODELS = {
    # The special tokens' ids are false, as in the old configs; the sizes are a list and a bare number; the position ids are stored.
    "owlvit": dict(
        OWL_WEIGHTS, model=OwlViTForObjectDetection, config=OwlViTConfig, seed=21, dtype=torch.float16, position_ids=True,
        side=60, vision=tower(48, 4, 2, 100, image_size=60, patch_size=12),
        text=tower(40, 5, 2, 76, max_position_embeddings=16, bos_token_id=0, eos_token_id=2), more=dict(projection_dim=40),
        pictures=[*PICTURES, "exact-60x60.png"], texts=OWL_TEXTS,
        preprocessor=pixels([60, 60], 3, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, do_center_crop=False, crop_size=60, rescale=True,
                            feature_extractor_type="OwlViTFeatureExtractor")),
    "owlv2": dict(
        OWL_WEIGHTS, model=Owlv2ForObjectDetection, config=Owlv2Config, seed=22, dtype=torch.float16, canvas=27,
        side=45, vision=tower(48, 4, 3, 100, image_size=45, patch_size=9),
        text=tower(40, 5, 2, 76, max_position_embeddings=16, bos_token_id=608, eos_token_id=609), more=dict(projection_dim=40),
        pictures=[*PICTURES, "exact-45x45.png", "exact-45x33.png"], texts=OWL_TEXTS,
        preprocessor=pixels(square(45), **OWLV2_PIXELS)),
    # The scale goes below zero, where ELU is no ReLU. The size is a bare number: a square.
    "owlv2-scale": dict(
        model=Owlv2ForObjectDetection, config=Owlv2Config, seed=23, dtype=torch.float16,
        scaled={**OWL_WEIGHTS["scaled"], "class_head.logit_scale.weight": 1.5}, fixed={"class_head.logit_scale.bias": -2.5},
        side=32, vision=tower(32, 2, 2, 54, image_size=32, patch_size=8),
        text=tower(24, 2, 2, 44, max_position_embeddings=16, bos_token_id=0, eos_token_id=2), more=dict(projection_dim=24),
        pictures=[TAP_IMAGE, "tall-23x97.png", "tiny-7x5.png", "large-211x140.png"], texts=OWL_TEXTS[:5],
        preprocessor=pixels(32, **OWLV2_PIXELS)),
    # Positions are interpolated from 4 × 4 to 6 × 6. The first preprocessor files had a mean of 0.5.
    "clipseg": dict(
        model=CLIPSegForImageSegmentation, config=CLIPSegConfig, seed=24, dtype=torch.float16,
        scaled={**MASK_WEIGHTS, "decoder.transposed_convolution.weight": 2.0},
        side=48, vision=tower(24, 2, 5, 48, image_size=32, patch_size=8),
        text=tower(24, 2, 2, 44, max_position_embeddings=16, bos_token_id=0, eos_token_id=2),
        more=dict(projection_dim=26, extract_layers=[1, 2, 3], reduce_dim=24, decoder_intermediate_size=64),
        pictures=[*PICTURES, "exact-48x48.png"], texts=TEXTS,
        preprocessor=pixels(square(48), 2, [0.5] * 3, [0.5] * 3, feature_extractor_type="ViTFeatureExtractor")),
    # The only kind of decoder that all use; patches of 16, as it must have.
    "clipseg-refined": dict(
        model=CLIPSegForImageSegmentation, config=CLIPSegConfig, seed=25, dtype=torch.float16,
        scaled={**MASK_WEIGHTS, "decoder.transposed_convolution.2.weight": 2.5},
        side=96, vision=tower(24, 2, 5, 48, image_size=64, patch_size=16),
        text=tower(24, 2, 2, 44, max_position_embeddings=16, bos_token_id=0, eos_token_id=2),
        more=dict(projection_dim=26, extract_layers=[1, 2, 3], reduce_dim=24, decoder_intermediate_size=64,
                  use_complex_transposed_convolution=True),
        pictures=[*PICTURES, "exact-96x96.png"], texts=TEXTS,
        preprocessor=pixels(square(96), 2, IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD, do_rescale=True, rescale_factor=1 / 255,
                            image_processor_type="ViTImageProcessor")),
    # Heads of 4, layers apart, and an end token that has the right id, which is not the highest.
    "clipseg-rd16": dict(
        model=CLIPSegForImageSegmentation, config=CLIPSegConfig, seed=26, dtype=torch.float16, position_ids=True,
        scaled={**MASK_WEIGHTS, "decoder.transposed_convolution.weight": 2.0},
        side=48, vision=tower(20, 2, 5, 36, image_size=32, patch_size=8), text=tower(24, 2, 2, 44, max_position_embeddings=16),
        more=dict(projection_dim=26, extract_layers=[0, 2, 3], reduce_dim=16, decoder_intermediate_size=40),
        pictures=[TAP_IMAGE, "tall-23x97.png", "large-211x140.png", "exact-48x48.png"], texts=TEXTS[:5],
        preprocessor=pixels(48, 2, IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD, feature_extractor_type="ViTFeatureExtractor")),
}


def written_config(spec):
    """What a published file has: nothing that is the family's default."""
    default = spec["config"]()
    section = lambda name: {k: v for k, v in spec[name].items() if v != getattr(getattr(default, f"{name}_config"), k)}
    sections = {f"{name}_config": dict(section(name), model_type=getattr(default, f"{name}_config").model_type)
                for name in ("text", "vision")}
    more = dict(spec["more"], decoder_hidden_act="quick_gelu") if hasattr(default, "reduce_dim") else spec["more"]
    return dict(architectures=[spec["model"].__name__], model_type=default.model_type, **more, **sections)


@torch.no_grad()
def make_checkpoint(folder, spec):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    detects = spec["model"] is not CLIPSegForImageSegmentation
    clip_tokenizer(folder, spec["text"])
    if detects:
        file = folder / "tokenizer_config.json"
        write_json(file, dict(json.loads(file.read_text()), pad_token="!"))
    write_json(folder / "preprocessor_config.json", spec["preprocessor"])
    config = written_config(spec)
    model = spec["model"](spec["config"](text_config=spec["text"], vision_config=spec["vision"], **spec["more"]))
    fill(model, dict(seed=spec["seed"], logit_scale=14.0))
    parameters = dict(model.named_parameters())
    for pattern, factor in spec["scaled"].items():
        for name in filter(re.compile(pattern).search, parameters):
            parameters[name].mul_(factor)
    for name, value in spec.get("fixed", {}).items():
        parameters[name].fill_(value)
    model.to(spec["dtype"]).save_pretrained(folder)
    write_json(folder / "config.json", config)
    if spec.get("position_ids"):
        file, prefix = folder / "model.safetensors", model.base_model_prefix
        tensors = load_file(file)
        for side, n in (("vision", model.config.vision_config.image_size // model.config.vision_config.patch_size), ("text", None)):
            tokens = 16 if n is None else n * n + 1
            tensors[f"{prefix}.{side}_model.embeddings.position_ids"] = torch.arange(tokens)[None]
        save_file(tensors, file, metadata=dict(format="pt"))


class FindReference(Reference):
    """The folder as transformers opens it."""

    def __init__(self, folder, spec):
        self.spec, self.detects = spec, spec["model"] is not CLIPSegForImageSegmentation
        self.model = spec["model"].from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = CLIPTokenizer.from_pretrained(folder)
        self.processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        assert type(self.processor).__name__.endswith("Pil"), type(self.processor)
        self.mean, self.std = self.processor.image_mean, self.processor.image_std
        self.towers = towers(self.model)
        self.texts = spec["texts"]

    def images(self):
        return {name: open_image(OUT / "images" / name) for name in self.spec["pictures"]}

    def projected(self, ids):
        """Before they are brought to unit length."""
        return self.towers.get_text_features(ids).pooler_output

    def states(self, pixels):
        """What each block of the picture tower gives, and first what the first one takes."""
        return self.towers.vision_model(pixels, output_hidden_states=True).hidden_states

    def activations(self, states, picture, off=0):
        return [states[i + 1 + off][picture] for i in self.model.config.extract_layers]


def store_floats(reference, images, path):
    """OWLv2's pixels after the resize, 0 to 1, before mean and deviation, [height, width, channel]; and the proof that the processor's
    output is these, normalised."""
    stored = {Path(name).stem: reference.pixels([image], do_normalize=False)[0] for name, image in images.items()}
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (reference.mean, reference.std))
    for name, image in images.items():
        assert torch.equal((stored[Path(name).stem] - mean) / std, reference.pixels([image])[0]), name
    save_file({name: x.permute(1, 2, 0).contiguous() for name, x in stored.items()}, path)


def record_towers(reference, ids, pixels):
    """Both towers' taps, of one picture and one text."""
    base = reference.towers
    taps = Taps(base)
    for side, tower in (("vision", base.vision_model), ("text", base.text_model)):
        taps.tap(f"{side}.block.0.attn", tower.encoder.layers[0].self_attn)
        taps.tap(f"{side}.block.0.mlp", tower.encoder.layers[0].mlp)
    taps.tap("text.pooled", base.text_projection, of_input=True)
    taps.tap("vision.pre_norm", base.vision_model.pre_layernorm if reference.detects else base.vision_model.pre_layrnorm)
    if reference.detects:
        image, text = base.vision_model(pixels), base.get_text_features(ids)
        values = taps.end(SimpleNamespace(pooler_output=image.last_hidden_state), text)
        del values["vision.embedding"]  # what `visual_projection` gives is of no use: published files have random numbers there
        return values
    taps.tap("vision.pooled", base.visual_projection, of_input=True)
    return taps.end(base.get_image_features(pixels), base.get_text_features(ids))


def record_taps(reference, ids, pixels, size):
    """All steps, of one picture; the first text's tower; the heads for all texts, or the decoder for the first two."""
    taps = record_towers(reference, ids[:1], pixels)
    queries, states = reference.projected(ids), reference.states(pixels)
    if reference.detects:
        steps = {name: step[0] for name, step in owl(reference.model, states[-1], unit(queries)).items()}
        taps["box.bias"] = reference.model.box_bias
    else:
        steps = clipseg(reference.model, reference.activations(states, 0), queries[:2])
        steps["upsampled"] = upsampled(steps["logits"], *size)
    taps |= {**steps, "text.projection": queries, "text.queries": unit(queries)}
    assert all(x.isfinite().all() and x.abs().max() < 1000 for x in taps.values())
    return {name: taps[name].contiguous() for name in sorted(taps)}


def make_golden(folder, reference):
    images = reference.images()
    (folder / "pixels").mkdir()
    if "do_pad" in reference.spec["preprocessor"]:
        store_floats(reference, images, folder / "pixels" / "pixels.safetensors")
    else:
        for name, image in images.items():
            store_pixels(reference, image, folder / "pixels" / Path(name).with_suffix(".png"))
    pixels, ids = reference.pixels(list(images.values())), reference.ids(reference.texts)
    if reference.detects:
        assert all(row.argmax() == (row == reference.tokenizer.eos_token_id).nonzero()[0, 0] for row in ids)
    golden = (owl_golden if reference.detects else masks_golden)(reference, images, pixels, ids)
    wrong = report(folder.name, reference, images, pixels, ids)
    seen = lambda kind: {what: share for what, share in wrong[kind].items() if share > FLOOR[kind]}
    golden["wrong"] = {kind: seen(kind) for kind in wrong}
    write_json(folder / "golden.json", golden)
    first = list(images).index(TAP_IMAGE)
    taps = record_taps(reference, ids, pixels[first:first + 1], images[TAP_IMAGE].size)
    save_file(taps, folder / "taps.safetensors", metadata=dict(image=TAP_IMAGE))
    return wrong


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    if not options.wrong:
        for name, (seed, width, height) in SHAPES.items():
            paint(seed, width, height).save(OUT / "images" / name, optimize=True)
    for name in options.models:
        folder, spec = OUT / name, MODELS[name]
        if options.wrong:
            reference = FindReference(folder, spec)
            images = reference.images()
            found[name] = report(name, reference, images, reference.pixels(list(images.values())), reference.ids(reference.texts))
            continue
        make_checkpoint(folder, spec)
        found[name] = make_golden(folder, FindReference(folder, spec))
    table(found, whole=set(options.models) == set(MODELS))
    if not options.wrong:
        check_size()


if __name__ == "__main__":
    main()
