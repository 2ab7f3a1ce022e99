"""Resizes pictures with Pillow: the hashes in tests/pictures/sizes.rs. `python tools/make_resized.py`; made with Pillow 12.3.

Tall pictures, of which Pillow makes the vertical pass first, and transparent ones on white, as transformers 5 composites them
(`convert_to_rgb` in image_transforms.py).
"""

import hashlib

import numpy as np
import PIL
from PIL import Image

# Width, height, size to resize to, side of the centre crop, and whether the picture is put on white.
CASES = [
    (3, 2000, (48, 48), 48, False),
    (3, 301, (48, 48), 48, False),
    (3, 300, (48, 48), 48, False),
    (2, 250, (48, 48), 48, False),
    (43, 4310, (42, 42 * 4310 // 43), 42, False),
    (20, 2010, (42, 42 * 2010 // 20), 42, False),
    (61, 37, (48, 48), 48, True),
    (3, 2000, (48, 48), 48, True),
]


def picture(width, height):
    """RGBA by a formula, transparent in many ways."""
    y, x = np.mgrid[:height, :width]
    channels = [x * 37 + y * 11, x * y + y * 5, (x * 7) ^ (y * 13), x * 29 + y * 3]
    return Image.fromarray((np.stack(channels, -1) & 255).astype(np.uint8), "RGBA")


print(PIL.__version__)
for width, height, size, side, white in CASES:
    image = picture(width, height)
    if white:
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    resized = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    square = resized.crop((left, top, left + side, top + side))
    print(width, height, size, side, white, hashlib.sha256(square.tobytes()).hexdigest())
