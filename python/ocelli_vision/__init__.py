"""Vision language models on any GPU, or none.

>>> from ocelli_vision import Model
>>> model = Model("siglip-q8", device="auto")
>>> found = model.embed_images(["a.jpg", open("b.png", "rb").read()])
>>> found.vectors.shape, found.errors
((2, 768), [None, None])
"""

from ._native import Detection, Detections, Embeddings, Masks, Model, Scores, Texts
from .error import OcelliError

__all__ = ["Detection", "Detections", "Embeddings", "Masks", "Model", "OcelliError", "Scores", "Texts"]
