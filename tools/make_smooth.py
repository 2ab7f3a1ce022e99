"""Makes tests/fixtures/smooth.safetensors: what OWLv2's image processor makes of pictures by a formula, before the normalisation.

    pip install -r tools/requirements.txt
    python tools/make_smooth.py  # from the root of the repository

The reference is `Owlv2ImageProcessorPil` of transformers 5.23 with SciPy 1.17. Tensors are called WIDTHxHEIGHT, and are
[side, side, 3] in float32, from 0 to 1.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

OUT = Path("tests/fixtures/smooth.safetensors")
# Width, height, side of the square: larger, smaller, as large along the longer side, hardly larger and smaller, out of proportion.
CASES = [
    (61, 37, 30), (23, 97, 24), (7, 5, 24), (1, 1, 24), (2, 2, 24), (211, 140, 30), (24, 24, 24), (30, 19, 30), (19, 30, 30),
    (23, 22, 24), (25, 24, 24), (3, 301, 24), (301, 3, 24),
]


def picture(width, height):
    y, x = np.mgrid[:height, :width]
    channels = [x * 37 + y * 11, x * y + y * 5, (x * 7) ^ (y * 13)]
    return Image.fromarray((np.stack(channels, -1) & 255).astype(np.uint8))


tensors = {}
for width, height, side in CASES:
    processor = Owlv2ImageProcessorPil(size={"height": side, "width": side}, do_normalize=False)
    pixels = processor(picture(width, height), return_tensors="np")["pixel_values"][0]
    assert pixels.dtype == np.float32 and pixels.shape == (3, side, side), (pixels.dtype, pixels.shape)
    tensors[f"{width}x{height}"] = np.ascontiguousarray(pixels.transpose(1, 2, 0))
save_file(tensors, OUT)
print(OUT, OUT.stat().st_size)
