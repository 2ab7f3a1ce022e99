"""Weights of a folder that `ocelli quantize` wrote in q8: where the other models' picture towers start."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

MODELS = Path(__file__).resolve().parents[2] / "www/models"
START, FIND, ASK = (MODELS / name for name in ("ocelli-tiny", "ocelli-tiny-find", "ocelli-tiny-ask"))
BLOCK = 16  # weights along K that share a scale (docs/decisions/weights-and-quantisation.md)


def weights(folder):
    """All tensors in f32: w = scale · q."""
    folder = Path(folder)
    files = sorted(set(json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"].values()))
    stored = {k: t for f in files for k, t in load_file(folder / f).items()}
    found = {}
    for name, tensor in stored.items():
        scales = stored.get(f"{name}.scales")
        if scales is not None:
            tensor = (tensor.reshape(len(tensor), -1, BLOCK).float() * scales.float()[..., None]).reshape(tensor.shape)
        if not name.endswith(".scales"):
            found[name] = tensor.float()
    return found
