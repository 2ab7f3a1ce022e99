"""The usual mistakes of LLaVA-OneVision: of what is packed of a picture's tiles, and of several pictures. Each is (what, changes of the model,
wrong inputs, right inputs)."""

import math

import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers.models.llava_onevision.modeling_llava_onevision import get_anyres_image_grid_shape, unpad_image

from make_fixtures import OUT, open_image

# By mistake, what it leaves out or does otherwise.
UNSHRUNK = {
    "image_newline missing": dict(newline=False),
    "image_newline before each row": dict(first=True),
    "whole picture missing": dict(whole=False),
    "whole picture after the grid": dict(last=True),
    "tiles one after the other": dict(joined=False),
    "tiles by columns": dict(turned=True),
    "padding kept": dict(unpad=lambda grid, size: grid),
    "padding cut at the end alone": dict(unpad=lambda grid, size: grid[:, :unpad_image(grid, size).shape[1], :unpad_image(grid, size).shape[2]]),
    "padding of the picture turned": dict(unpad=lambda grid, size: unpad_image(grid, size.flip(0))),
}
SHRUNK = {
    "not shrunk": dict(shrink=None),
    "shrunk by nearest neighbour": dict(shrink=dict(mode="nearest")),
    "shrunk from corner to corner": dict(shrink=dict(mode="bilinear", align_corners=True)),
    "shrunk with antialiasing": dict(shrink=dict(mode="bilinear", antialias=True)),
    "shrunk by bicubic": dict(shrink=dict(mode="bicubic")),
    "shrunk to the next size": dict(shrink=dict(mode="bilinear"), rounded=math.ceil),
    "columns and rows of the shrunk grid exchanged": dict(shrink=dict(mode="bilinear"), exchanged=True),
}


def pack(model, features, size, most, newline=True, first=False, whole=True, last=False, joined=True, turned=False, unpad=unpad_image,
         shrink=dict(mode="bilinear"), rounded=math.floor, exchanged=False):
    """The rows of a picture from its squares' [squares, tokens, hidden]; without a mistake as `pack_image_features` has them."""
    config = model.config
    side = config.vision_config.image_size // config.vision_config.patch_size
    base, tiles = features[0], features[1:]
    down, across = get_anyres_image_grid_shape(size, config.image_grid_pinpoints, config.vision_config.image_size)
    grid = tiles.view(across, down, side, side, -1).transpose(0, 1) if turned else tiles.view(down, across, side, side, -1)
    grid = grid.transpose(1, 2) if joined else grid
    grid = unpad(grid.reshape(down * side, across * side, -1).permute(2, 0, 1), size)
    ratio = math.sqrt(grid[0].numel() / (most * side * side))
    if ratio > 1.1 and shrink:
        shrunk = [rounded(n / ratio) for n in grid.shape[1:]]
        grid = interpolate(grid[None], shrunk[::-1] if exchanged else shrunk, **shrink)[0]
    ends = model.image_newline[:, None, None].expand(*grid.shape[:-1], 1)
    if newline:
        grid = torch.cat([ends, grid] if first else [grid, ends], -1)
    rows = grid.flatten(1).T
    return torch.cat(([rows, base] if last else [base, rows]) if whole else [rows])


def counted(reference, inputs, counts):
    """The same prompt with so many tokens of each picture."""
    image, ids = reference.processor.image_token_id, inputs["input_ids"][0].tolist()
    start = ids.index(image)
    rest = [token for token in ids[start:] if token != image]
    ids = torch.tensor([ids[:start] + [image] * sum(counts) + rest])
    return dict(inputs, input_ids=ids, attention_mask=torch.ones_like(ids))


def packing_mistakes(reference, inputs):
    model = reference.model.model
    most = int(model.config.vision_aspect_ratio.removeprefix("anyres_max_"))

    def packed(**mistake):
        return lambda features, sizes, *_, **__: ([pack(model, f, size, most, **mistake) for f, size in zip(features, sizes)], None)

    kept = []
    hook = reference.connector.register_forward_hook(lambda _, __, features: kept.append(features))
    right = reference.features(inputs)
    hook.remove()
    features, sizes = kept[0], inputs["image_sizes"][0]
    assert torch.equal(pack(model, features, sizes, most), right), "not what the reference packs"
    unshrunk = pack(model, features, sizes, most, shrink=None, newline=False)
    shrinks = len(unshrunk) != len(pack(model, features, sizes, most, newline=False))
    for what, mistake in (UNSHRUNK | SHRUNK if shrinks else UNSHRUNK).items():
        found = pack(model, features, sizes, most, **mistake)
        if found.shape != right.shape or not torch.equal(found, right):
            yield what, [(model, "pack_image_features", packed(**mistake))], counted(reference, inputs, [len(found)]), inputs


def several_mistakes(reference):
    """Of the last of the fixture's other pictures, which are several."""
    names = reference.spec["others"][-1]
    images = [open_image(OUT / "images" / name).convert("RGB") for name in names]
    right, side = reference.inputs(names), reference.model.config.vision_config.image_size

    def padded(image, colour, place=0.5):
        square = Image.new("RGB", [max(image.size)] * 2, colour)
        square.paste(image, [int((whole - part) * place) for whole, part in zip(square.size, image.size)])
        return square

    mean = tuple(int(255 * x) for x in reference.processor.image_processor.image_mean)
    assert all(torch.equal(a, b) for a, b in zip(right["pixel_values"], reference.inputs(images=[padded(i, mean) for i in images])["pixel_values"]))
    yield "several: squashed", [], reference.inputs(images=[image.resize([side] * 2, 3) for image in images]), right
    yield "several: padded with black", [], reference.inputs(images=[padded(image, 0) for image in images]), right
    yield "several: padded at the end", [], reference.inputs(images=[padded(image, mean, 0) for image in images]), right
    yield "several: in another order", [], dict(right, pixel_values=right["pixel_values"].flip(0)), right
    single = [reference.inputs([name]) for name in names]
    most = max(inputs["pixel_values"].shape[1] for inputs in single)
    pixels = [torch.cat([p, p.new_zeros(1, most - p.shape[1], *p.shape[2:])], 1) for p in (inputs["pixel_values"] for inputs in single)]
    image = reference.processor.image_token_id
    counts = [int((inputs["input_ids"] == image).sum()) for inputs in single]
    cut = dict(right, pixel_values=torch.cat(pixels), image_sizes=torch.cat([inputs["image_sizes"] for inputs in single]),
               batch_num_images=torch.ones(len(names), dtype=torch.long))
    yield "several: each cut into tiles", [], counted(reference, cut, counts), right
