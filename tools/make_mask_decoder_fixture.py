"""Makes tests/fixtures/found/mask_decoder.json: what PyTorch and Pillow make of the codes of masks, with random weights.

    pip install -r tools/requirements.txt
    python tools/make_mask_decoder_fixture.py      # from the root of the repository; CPU, seconds

The decoder is big_vision's (`Decoder` in evaluators/proj/paligemma/transfers/segmentation.py) in the modules whose names its weights
(vae-oid.npz) have: flax's ConvTranspose with a padding of 2 and `transpose_kernel` is PyTorch's with a padding of 1. Weights come from
the generator of src/random.rs, a sequence for each name, so that they need no file. PyTorch computes in f64.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "found" / "mask_decoder.json"
WORD = (1 << 64) - 1


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(),
                                 nn.Conv2d(128, 128, 1))

    def forward(self, x):
        return x + self.net(x)


def doubled(inputs, outputs):
    return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]


def floats(seed, count):
    state = (seed * 0x9E3779B97F4A7C15 & WORD) | 1
    bits = np.empty(count, np.uint32)
    for at in range(count):
        state ^= state >> 12
        state ^= state << 25 & WORD
        state ^= state >> 27
        bits[at] = (state * 0x2545F4914F6CDD1D & WORD) >> 32
    return bits.astype(np.float32) / np.float32(1 << 31) - np.float32(1)


def weights(name, shape):
    seed = 0
    for byte in name.encode():
        seed = seed * 31 + byte & WORD
    scale = {1: 0.1, 2: 1.0}.get(len(shape), 2.5 / np.sqrt(np.prod(shape[1:], dtype=np.float64)))
    return torch.tensor((floats(seed, int(np.prod(shape))).astype(np.float64) * scale).astype(np.float32).reshape(shape)).double()


def runs(bits):
    counts, inside, run = [], False, 0
    for bit in bits.flatten():
        if bit != inside:
            counts.append(run)
            inside, run = bool(bit), 0
        run += 1
    return [*counts, run]


def main():
    decoder = nn.Sequential(nn.Conv2d(512, 128, 1), nn.ReLU(), Block(), Block(), *doubled(128, 128), *doubled(128, 64),
                            *doubled(64, 32), *doubled(32, 16), nn.Conv2d(16, 1, 1)).double()
    decoder.load_state_dict({name: weights(f"decoder.{name}", tuple(x.shape)) for name, x in decoder.state_dict().items()})
    codebook = weights("_vq_vae._embedding", (128, 512))
    cases, rng = [], np.random.default_rng(4)
    for codes in (list(range(0, 128, 8)), rng.integers(0, 128, 16).tolist()):
        grid = codebook[codes].reshape(1, 4, 4, 512).permute(0, 3, 1, 2)
        with torch.no_grad():
            scores = np.array([float(f"{x:.6g}") for x in decoder(grid).flatten()], np.float32).reshape(64, 64)
        # So that half of them are inside.
        shift = np.float32(f"{np.median(scores):.6g}")
        masks = []
        for width, height in ((64, 64), (17, 23), (31, 9), (1, 1), (3, 90), (80, 66)):
            resized = np.asarray(Image.fromarray(scores - shift).resize((width, height), resample=Image.BILINEAR))
            margin = float(np.abs(resized).min())
            print(width, height, f"inside {(resized > 0).mean():.2f}, nearest to 0 {margin:.1e}")
            # Rounding must decide nothing.
            assert margin > 1e-6
            masks.append({"width": width, "height": height, "counts": runs(resized > 0)})
        scores = [float(f"{x:.6g}") for x in scores.flatten()]
        cases.append({"codes": codes, "scores": scores, "shift": float(f"{shift:.6g}"), "masks": masks})
    OUT.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(OUT.stat().st_size, "bytes")


main()
