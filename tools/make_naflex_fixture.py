"""Makes the fixture of SigLIP 2 with pictures of any shape: tests/fixtures/naflex.

    pip install -r tools/requirements.txt
    python tools/make_naflex_fixture.py  # from the root of the repository, after make_fixtures.py, whose pictures it uses

The reference is `Siglip2Model` of transformers in float32, with its image processor's "pil" backend. What is written, and in
which form, is said in make_fixtures.py; golden.json has besides:

budgets  for several `max_num_patches`, for every picture: its grid (rows and columns), its embedding, and the embeddings that the
         usual mistakes give, where they differ
"""

import os
import shutil
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoImageProcessor, Siglip2Config, Siglip2Model, Siglip2Tokenizer

from fixture_tokenizers import gemma_tokenizer, write_json
from make_fixtures import (OUT, TAP_IMAGE, TEXTS, Taps, check_size, fill, numbers, open_image, paint, tower, unit,
                           unrelated_distance)

NAME = "naflex"
PATCH = 7
# Positions of 5 × 5, pictures of at most 20 patches: neither is a square of the other.
SPEC = dict(
    seed=8, logit_scale=16.0, logit_bias=-6.5,
    vision=tower(40, 2, 2, 70, "gelu_pytorch_tanh", patch_size=PATCH, num_patches=25),
    text=tower(24, 2, 2, 44, "gelu_pytorch_tanh", max_position_embeddings=12, projection_size=40, pad_token_id=0))
PREPROCESSOR = dict(
    do_resize=True, resample=2, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5] * 3,
    image_std=[0.5] * 3, do_convert_rgb=None, patch_size=PATCH, max_num_patches=20,
    image_processor_type="Siglip2ImageProcessor", processor_class="Siglip2Processor")
# Fewer than the default, the default, more, and one patch alone; at 61 the positions grow along both sides.
BUDGETS = [1, 9, 20, 61]
# Very wide, very tall, and exactly 5 × 4 patches, which is resized at no budget of 20.
SHAPES = {"wide-230x11.png": (41, 230, 11), "tall-9x160.png": (42, 9, 160), "exact-35x28.png": (43, 35, 28)}
OTHERS = [TAP_IMAGE, "tall-23x97.png", "tiny-7x5.png", "one-1x1.png", "large-211x140.png", "rgba-40x53.png"]


class Reference:
    """The folder as transformers opens it. Weights of any type are widened to float32."""

    def __init__(self, folder):
        self.model = Siglip2Model.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = Siglip2Tokenizer.from_pretrained(folder)
        self.processor = AutoImageProcessor.from_pretrained(folder, backend="pil")

    def ids(self, texts):
        return self.tokenizer(texts, padding="max_length", truncation=True, max_length=12, return_tensors="pt")["input_ids"]

    def inputs(self, images, budget, **options):
        return self.processor(images, max_num_patches=budget, return_tensors="pt", **options)

    def embed(self, inputs):
        return unit(self.model.get_image_features(**inputs).pooler_output)


def store_pixels(reference, image, path):
    """What the tower sees, put together from its patches; and the proof: these bytes, rescaled and normalised, are exactly the
    processor's output."""
    budget = PREPROCESSOR["max_num_patches"]
    bytes_ = reference.inputs([image], budget, do_rescale=False, do_normalize=False)
    rows, columns = bytes_["spatial_shapes"][0].tolist()
    patches = bytes_["pixel_values"][0][: rows * columns].numpy()
    square = patches.reshape(rows, columns, PATCH, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(rows * PATCH, columns * PATCH, 3)
    assert np.array_equal(square, square.astype(np.uint8))
    Image.fromarray(square.astype(np.uint8)).save(path, optimize=True)
    expected = ((patches.astype(np.float64) * (1 / 255)).astype(np.float32) - 0.5) / np.float32(0.5)
    found = reference.inputs([image], budget)["pixel_values"][0].numpy()
    assert np.array_equal(expected, found[: rows * columns]) and not found[rows * columns:].any(), path


def record_taps(reference, ids, inputs):
    model = reference.model
    taps = Taps(model)
    taps.tap("text.pooled", model.text_model.head, of_input=True)
    taps.tap("vision.pooled", model.vision_model.head)
    return taps.end(model.get_image_features(**inputs), model.get_text_features(ids))


def wrong_variants(reference, inputs):
    """Breaks the reference in the usual ways, and gives what comes of it."""
    model = reference.model
    yield "mask missing", reference.embed({**inputs, "pixel_attention_mask": torch.ones_like(inputs["pixel_attention_mask"])})

    head = model.vision_model.head.forward
    model.vision_model.head.forward = lambda states, mask=None: head(states, None)
    yield "padding pooled", reference.embed(inputs)
    model.vision_model.head.forward = head

    interpolate = torch.nn.functional.interpolate
    torch.nn.functional.interpolate = lambda *a, **k: interpolate(*a, **{**k, "antialias": False})
    yield "positions not antialiased", reference.embed(inputs)
    torch.nn.functional.interpolate = lambda *a, **k: interpolate(*a, **{**k, "align_corners": True, "antialias": False})
    yield "positions from corner to corner", reference.embed(inputs)
    # PyTorch's kernel for the CPU gives every row of a single column the weights of the first one. Down first, and then across, they
    # have their own.
    torch.nn.functional.interpolate = lambda x, size, **k: interpolate(
        interpolate(x, size=(size[0], x.shape[-1]), **k).contiguous(), size=size, **k)
    yield "rows of one column apart", reference.embed(inputs)
    torch.nn.functional.interpolate = interpolate

    pixels = inputs["pixel_values"]
    planes = pixels.reshape(*pixels.shape[:2], -1, 3).transpose(2, 3).reshape(pixels.shape)
    yield "channels first in a patch", reference.embed({**inputs, "pixel_values": planes})
    yield "rows and columns exchanged", reference.embed({**inputs, "spatial_shapes": inputs["spatial_shapes"].flip(1)})


def budget_golden(reference, images, budget, unrelated):
    inputs = reference.inputs(list(images.values()), budget)
    right = reference.embed(inputs)
    found = {name: dict(grid=grid, embedding=numbers(row), wrong={})
             for name, grid, row in zip(images, inputs["spatial_shapes"].tolist(), right)}
    for what, wrong in wrong_variants(reference, inputs):
        moved = (wrong - right).norm(dim=-1) / unrelated
        print(f"{NAME}: {budget} patches: {what}: moves by {moved.mean():.1e} of the distance between unrelated pictures")
        for name, row, off in zip(images, wrong, moved.tolist()):
            if off > 0.002:
                found[name]["wrong"][what] = [float(f"{x:.6g}") for x in row.tolist()]
    return dict(max_num_patches=budget, images=found)


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    folder = OUT / NAME
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pixels").mkdir(parents=True)
    for name, (seed, width, height) in SHAPES.items():
        paint(seed, width, height).save(OUT / "images" / name, optimize=True)
    gemma_tokenizer(folder, SPEC["text"])
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    model = Siglip2Model(Siglip2Config(text_config=SPEC["text"], vision_config=SPEC["vision"]))
    fill(model, SPEC)
    model.to(torch.float16).save_pretrained(folder)

    reference = Reference(folder)
    images = {name: open_image(OUT / "images" / name) for name in [*OTHERS, *SHAPES]}
    for name, image in images.items():
        store_pixels(reference, image, folder / "pixels" / Path(name).with_suffix(".png"))
    ids = reference.ids(TEXTS)
    assert ids[-2, -1] == reference.tokenizer.eos_token_id, "truncation must keep the end token"
    inputs = reference.inputs(list(images.values()), PREPROCESSOR["max_num_patches"])
    out = reference.model(input_ids=ids, **inputs)
    distance = unrelated_distance(NAME, out)
    budgets = [budget_golden(reference, images, budget, distance["image"]) for budget in BUDGETS]
    missed = {what for what, _ in wrong_variants(reference, inputs)}
    missed -= {what for budget in budgets for image in budget["images"].values() for what in image["wrong"]}
    assert not missed, f"these mistakes would go unnoticed: {missed}"
    write_json(folder / "golden.json", dict(
        images={name: dict(embedding=numbers(row)) for name, row in zip(images, out.image_embeds)},
        texts=[dict(text=t, ids=i.tolist(), embedding=numbers(row)) for t, i, row in zip(TEXTS, ids, out.text_embeds)],
        logits_per_image=dict(labels=TEXTS, template=None, **dict(zip(images, map(numbers, out.logits_per_image)))),
        scores=dict(zip(images, map(numbers, out.logits_per_image.sigmoid()))), unrelated_distance=distance, budgets=budgets))
    first = reference.inputs([images[TAP_IMAGE]], PREPROCESSOR["max_num_patches"])
    save_file(record_taps(reference, ids[:1], first), folder / "taps.safetensors", metadata=dict(image=TAP_IMAGE))
    check_size()


if __name__ == "__main__":
    main()
