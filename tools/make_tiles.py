"""Cuts pictures into tiles with transformers' own image processors: the numbers and hashes in tests/pictures/tiles.rs, as lines of Rust.

    python tools/make_tiles.py    # transformers 5.23, Pillow 12.3
"""

import hashlib
import os
from types import SimpleNamespace

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import numpy as np
from PIL import Image
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.image_processing_utils import select_best_resolution
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

# Width, height, longest edge, side of a tile, whether it is cut.
SPLIT = [
    (61, 37, 192, 64, True),
    (37, 61, 192, 64, True),
    (23, 97, 192, 64, True),
    (1, 1, 192, 64, True),
    (7, 5, 192, 64, True),
    (301, 300, 192, 64, True),
    (3, 2000, 192, 64, True),
    (2000, 3, 192, 64, True),
    (192, 128, 192, 64, True),
    (61, 37, 64, 64, True),
    (61, 37, 147, 49, True),
    (200, 131, 50, 32, True),
    (61, 37, 192, 64, False),
    (3, 2000, 192, 64, False),
    (1000, 10, 192, 64, False),
]
# Width and height, with SmolVLM's own settings, 500M and 2.2B.
SIZES = [(1, 1), (64, 64), (386, 386), (512, 512), (513, 511), (1024, 768), (1920, 1080), (500, 2000), (2048, 1025), (300, 301), (5000, 50),
         (50, 5000), (1, 100000), (100000, 7)]
GRID = [(61, 37), (37, 61), (96, 96), (23, 97), (7, 5), (1, 1), (300, 100), (3, 2000), (42, 42), (126, 42), (97, 43)]
# Several pictures, each in the middle of a square of the mean colour.
CENTRED = [(61, 37), (37, 61), (96, 96), (23, 97), (7, 5), (1, 1), (3, 2000), (2000, 3), (42, 42), (41, 43)]
PINPOINTS = [[42, 42], [42, 84], [42, 126], [84, 42], [84, 84], [126, 42]]
# Width and height, with LLaVA-OneVision's own settings.
PACKED = [(1, 1), (384, 384), (386, 386), (640, 480), (1920, 1080), (1080, 1920), (4000, 3000), (500, 2000), (5000, 50), (50, 5000), (2303, 2305),
          (333, 1000)]
# And as many more, of which there is one hash.
MORE = [(1 + i * i * 7919 % 5003, 1 + i * 104_729 % 4999) for i in range(600)]


def picture(width, height):
    """As tests/pictures/tiles.rs paints it."""
    y, x = np.mgrid[:height, :width]
    channels = [x * 37 + y * 11, x * y + y * 5, (x * 7) ^ (y * 13)]
    return Image.fromarray((np.stack(channels, -1) & 255).astype(np.uint8), "RGB")


def digest(tiles):
    """Of all tiles, one after the other, in RGB."""
    tiles = np.asarray(tiles)
    assert (tiles == tiles.astype(np.uint8)).all()
    return hashlib.sha256(tiles.astype(np.uint8).transpose(0, 2, 3, 1).tobytes()).hexdigest()


def word(value):
    return str(value).lower()


bare = dict(do_rescale=False, do_normalize=False)
for width, height, longest, side, cut in SPLIT:
    processor = SmolVLMImageProcessorPil(size=dict(longest_edge=longest), max_image_size=dict(longest_edge=side), do_image_splitting=cut, **bare)
    made = processor([[picture(width, height)]], return_row_col_info=True)
    (rows,), (columns,) = made["rows"][0], made["cols"][0]
    print(f'    ({width}, {height}, {longest}, {side}, {word(cut)}, [{rows}, {columns}], "{digest(made["pixel_values"][0])}"),')
for longest, side in ((2048, 512), (1536, 384)):
    for width, height in SIZES:
        processor = SmolVLMImageProcessorPil(size=dict(longest_edge=longest), max_image_size=dict(longest_edge=side), **bare)
        made = processor([[Image.new("RGB", (width, height))]], return_row_col_info=True)
        (rows,), (columns,) = made["rows"][0], made["cols"][0]
        print(f"    ({width}, {height}, {longest}, {side}, [{rows}, {columns}]),")
for width, height in GRID:
    processor = LlavaOnevisionImageProcessorPil(size=dict(height=42, width=42), image_grid_pinpoints=PINPOINTS, **bare)
    made = processor(picture(width, height))
    best = select_best_resolution((height, width), PINPOINTS)
    print(f'    ({width}, {height}, [{best[0] // 42}, {best[1] // 42}], "{digest(made["pixel_values"][0])}"),')
for width, height in CENTRED:
    processor = LlavaOnevisionImageProcessorPil(size=dict(height=42, width=42), image_grid_pinpoints=PINPOINTS, **bare)
    made = processor([[picture(width, height)] * 2])
    print(f'    ({width}, {height}, "{digest(made["pixel_values"][0])}"),')


def packed(width, height):
    """Rows and columns of tiles, columns and rows of tokens."""
    grid = [n // 384 for n in select_best_resolution((height, width), LlavaOnevisionImageProcessorPil.image_grid_pinpoints)]
    rule = SimpleNamespace(vision_aspect_ratio="anyres_max_9")
    tokens, ends = LlavaOnevisionProcessor._get_unpadded_features(rule, height, width, 27, 27, *grid)
    return grid, [tokens // ends, ends]


for width, height in PACKED:
    grid, tokens = packed(width, height)
    print(f"    ({width}, {height}, {grid}, {tokens}),")
lines = [f"{width} {height} {grid} {tokens}\n" for width, height in MORE for grid, tokens in [packed(width, height)]]
print(hashlib.sha256("".join(lines).encode()).hexdigest())
