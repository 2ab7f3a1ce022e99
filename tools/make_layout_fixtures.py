"""Makes tests/fixtures/layouts: folders as transformers 5 itself saves them, of whole models and of single towers.

    pip install -r tools/requirements.txt
    python tools/make_layout_fixtures.py  # from the root of the repository, after make_fixtures.py, whose pictures and tokenizers it uses

Each folder is what `save_pretrained` writes; the reference is the same class, from_pretrained, in float32, with the "pil" backend. An
embedding is what the class gives for a picture or a text: image_embeds, text_embeds, or where there is no projection pooler_output.

layouts/NAME/expected.json  `tokenizer`: the fixture whose tokenizer's files belong beside it; ids and unit embeddings

At the end it asks transformers about folders that tests make of these: both processor files, a prefix before the names.
"""

import os
import shutil
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoImageProcessor, AutoProcessor, AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor,
                          CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModel,
                          CLIPVisionModelWithProjection, SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor,
                          Siglip2ImageProcessor, Siglip2TextConfig, Siglip2TextModel, Siglip2VisionConfig, Siglip2VisionModel,
                          SiglipTextConfig, SiglipTextModel, SiglipVisionConfig, SiglipVisionModel)

from make_fixtures import OUT, check_size, fill, open_image, tower, unit, write_json

PICTURES = ["rgb-61x37.png", "tall-23x97.png", "orientation6-45x27.png"]
TEXTS = ["a photo of a cat", "TWO DOGS IN THE SNOW", "it's a red car"]
SIDE = 24
VISION = {"clip": tower(16, 2, 1, 24, "quick_gelu", image_size=SIDE, patch_size=8, projection_dim=12),
          "siglip": tower(16, 2, 1, 24, "gelu_pytorch_tanh", image_size=SIDE, patch_size=8),
          "naflex": tower(16, 2, 1, 24, "gelu_pytorch_tanh", patch_size=8, num_patches=9)}
TEXT = {"clip": tower(8, 2, 1, 20, "quick_gelu", max_position_embeddings=16, projection_dim=12, bos_token_id=608, eos_token_id=609,
                      pad_token_id=609, vocab_size=610),
        "siglip": tower(16, 2, 1, 20, "gelu_pytorch_tanh", max_position_embeddings=12),
        "naflex": tower(16, 2, 1, 20, "gelu_pytorch_tanh", max_position_embeddings=12, projection_size=16, pad_token_id=0)}
IMAGE = {"clip": lambda: CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}),
         "siglip": lambda: SiglipImageProcessor(size={"height": SIDE, "width": SIDE}),
         "naflex": lambda: Siglip2ImageProcessor(patch_size=8, max_num_patches=12)}
PROCESSOR = {"clip": CLIPProcessor, "siglip": SiglipProcessor}

# Name of the folder: family, class, and whether it has a picture tower and a text tower.
SINGLE = {
    "clip-vision-projection": ("clip", CLIPVisionModelWithProjection, CLIPVisionConfig, "vision"),
    "clip-vision": ("clip", CLIPVisionModel, CLIPVisionConfig, "vision"),
    "clip-text-projection": ("clip", CLIPTextModelWithProjection, CLIPTextConfig, "text"),
    "clip-text": ("clip", CLIPTextModel, CLIPTextConfig, "text"),
    "siglip-vision": ("siglip", SiglipVisionModel, SiglipVisionConfig, "vision"),
    "siglip-text": ("siglip", SiglipTextModel, SiglipTextConfig, "text"),
    "naflex-vision": ("naflex", Siglip2VisionModel, Siglip2VisionConfig, "vision"),
    "naflex-text": ("naflex", Siglip2TextModel, Siglip2TextConfig, "text"),
}


def tokenizer(family):
    return AutoTokenizer.from_pretrained(OUT / family)


def text_config(family):
    config = dict(TEXT[family])
    if family != "clip":
        config["vocab_size"] = len(tokenizer(family))
    return config


def scratch(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def numbers(rows):
    return [[float(f"{x:.9g}") for x in row.tolist()] for row in rows]


def pooled(output):
    return next(value for key in ("image_embeds", "text_embeds", "pooler_output") if (value := getattr(output, key, None)) is not None)


def pixels(folder):
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor([open_image(OUT / "images" / name) for name in PICTURES], return_tensors="pt")


def ids(tokenizer, length):
    return tokenizer(TEXTS, padding="max_length", truncation=True, max_length=length, return_tensors="pt")["input_ids"]


def write_expected(folder, family, images, texts, tokens):
    write_json(folder / "expected.json", dict(
        tokenizer=family,
        **(dict(images=dict(zip(PICTURES, numbers(unit(images))))) if images is not None else {}),
        **(dict(texts=[dict(text=t, ids=i.tolist(), embedding=e) for t, i, e in zip(TEXTS, tokens, numbers(unit(texts)))])
           if texts is not None else {})))


def make_single(name, family, model_class, config_class, kind):
    folder = scratch(OUT / "layouts" / name)
    model = model_class(config_class(**(VISION[family] if kind == "vision" else text_config(family))))
    fill(model, dict(seed=31))
    model.save_pretrained(folder)
    model = model_class.from_pretrained(folder, attn_implementation="eager").eval()
    if kind == "vision":
        IMAGE[family]().save_pretrained(folder)
        write_expected(folder, family, pooled(model(**pixels(folder))), None, None)
    else:
        tokens = ids(tokenizer(family), TEXT[family]["max_position_embeddings"])
        write_expected(folder, family, None, pooled(model(tokens)), tokens)


def make_whole(family):
    """A model and its processor, each saved as a whole: no preprocessor_config.json."""
    folder = scratch(OUT / "layouts" / f"{family}-v5")
    if family == "clip":
        model = CLIPModel(CLIPConfig(vision_config=VISION[family], text_config=text_config(family), projection_dim=12))
    else:
        model = SiglipModel(SiglipConfig(vision_config=VISION[family], text_config=text_config(family)))
    fill(model, dict(seed=32, logit_scale=14.0, logit_bias=-6.0))
    model.save_pretrained(folder)
    PROCESSOR[family](image_processor=IMAGE[family](), tokenizer=tokenizer(family)).save_pretrained(folder)
    names = {path.name for path in folder.iterdir()}
    assert "processor_config.json" in names and "preprocessor_config.json" not in names, names
    tokens = ids(AutoProcessor.from_pretrained(folder).tokenizer, TEXT[family]["max_position_embeddings"])
    model = type(model).from_pretrained(folder, attn_implementation="eager").eval()
    write_expected(folder, family, model.get_image_features(**pixels(folder)).pooler_output, model.get_text_features(tokens).pooler_output,
                   tokens)
    # The tokenizer's own files are the fixture's.
    for name in ("tokenizer.json", "spiece.model"):
        (folder / name).unlink(missing_ok=True)
    check_whole(folder, model)


def check_whole(folder, model):
    """What tests rely on: transformers reads the folders that they make of this one in the same way."""
    with tempfile.TemporaryDirectory() as temporary:
        both = Path(temporary) / "both"
        shutil.copytree(folder, both)
        write_json(both / "preprocessor_config.json", dict(size={"height": 9, "width": 9}, crop_size=9, image_processor_type=type(
            AutoImageProcessor.from_pretrained(folder, backend="pil")).__name__.removesuffix("Pil")))
        assert torch.equal(pixels(both)["pixel_values"], pixels(folder)["pixel_values"]), "processor_config.json wins"
        weights = load_file(folder / "model.safetensors")
        prefix = model.base_model_prefix
        for how, names, same in ((prefix, lambda name: f"{prefix}.{name}", True), ("module", lambda name: f"module.{name}", False)):
            save_file({names(name): tensor for name, tensor in weights.items()}, both / "model.safetensors", metadata=dict(format="pt"))
            loaded = type(model).from_pretrained(both).state_dict()
            equal = all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())
            assert equal == same, how


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    for name, spec in SINGLE.items():
        make_single(name, *spec)
    for family in ("clip", "siglip"):
        make_whole(family)
    check_size()


if __name__ == "__main__":
    main()
