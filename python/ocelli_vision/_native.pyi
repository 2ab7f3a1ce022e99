from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

#: The bytes of a PNG, JPEG, WebP, GIF or BMP file, its path, or uint8 pixels (height, width, 3 or 4).
Picture: TypeAlias = bytes | bytearray | str | PathLike[str] | NDArray[np.uint8]

@final
class Embeddings:
    """Embeddings of pictures, a row for each."""

    @property
    def vectors(self) -> NDArray[np.float32]:
        """float32, (pictures, dim), of unit length; zeros where `ok` is False."""
    @property
    def ok(self) -> NDArray[np.bool_]:
        """bool, (pictures,): whether the row is right."""
    @property
    def errors(self) -> list[str | None]:
        """For each picture None, or why it has no row."""
    def __len__(self) -> int: ...

@final
class Scores:
    """Scores of pictures against labels, a row for each picture."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """float32, (pictures, labels); zeros where `ok` is False."""
    @property
    def ok(self) -> NDArray[np.bool_]:
        """bool, (pictures,): whether the row is right."""
    @property
    def errors(self) -> list[str | None]:
        """For each picture None, or why it has no row."""
    def __len__(self) -> int: ...

@final
class Detection:
    """A thing that was found."""

    @property
    def label(self) -> str:
        """The label's text."""
    @property
    def index(self) -> int:
        """The label's place among those asked for."""
    @property
    def score(self) -> float:
        """0 to 1."""
    @property
    def box(self) -> tuple[float, float, float, float]:
        """x and y of the upper left corner, width, height: pixels of the picture."""

@final
class Detections:
    """What was found in each picture."""

    @property
    def found(self) -> list[list[Detection]]:
        """For each picture, best first; none where `ok` is False."""
    @property
    def ok(self) -> NDArray[np.bool_]:
        """bool, (pictures,): whether the picture could be looked at."""
    @property
    def errors(self) -> list[str | None]:
        """For each picture None, or why nothing could be looked for."""

@final
class Masks:
    """A mask for each label in each picture."""

    @property
    def masks(self) -> list[NDArray[np.bool_] | None]:
        """For each picture bool, (labels, height, width), in its own pixels; None where `ok` is False."""
    @property
    def ok(self) -> NDArray[np.bool_]:
        """bool, (pictures,): whether the picture could be looked at."""
    @property
    def errors(self) -> list[str | None]:
        """For each picture None, or why nothing could be looked for."""

@final
class Texts:
    """A text for each picture."""

    @property
    def texts(self) -> list[str]:
        """For each picture its text; empty where `ok` is False."""
    @property
    def tokens(self) -> list[list[int]]:
        """For each picture the ids of its text's tokens; none where `ok` is False."""
    @property
    def finish(self) -> list[Literal["stop", "length", "context"] | None]:
        """For each picture why its text ended: the model ended it, `max_tokens`, or no more room; None where `ok` is False."""
    @property
    def probabilities(self) -> list[list[float]]:
        """For each picture the probability of each of the choices, which add up to 1; none without choices."""
    @property
    def ok(self) -> NDArray[np.bool_]:
        """bool, (pictures,): whether there is a text."""
    @property
    def errors(self) -> list[str | None]:
        """For each picture None, or why it has no text."""
    def __len__(self) -> int: ...

@final
class Model:
    """A model on a device. Its threads share it; a process that was forked makes one of its own; pickles open it again by its path."""

    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        device: str = "auto",
        format: Literal["f32", "f16", "q8", "q4"] | None = None,
        towers: Literal["vision", "text", "both"] = "both",
        batch: int | None = None,
        threads: int | None = None,
    ) -> Model:
        """Opens a model's folder: one of transformers', open_clip's, or one that `ocelli quantize` wrote.

        device: "auto" (a GPU, or the CPU where there is none), "gpu" (no emulation), "gpu:1", "pci:0000:41:00.0" or "cpu".
        format: None keeps the weights as they are stored.
        batch: pictures in one run of the device; None: 64 on a GPU, 8 on the CPU.
        threads: for decoding, and for the model on the CPU; None: OMP_NUM_THREADS, or as many as there are cores.
        """
    def embed_images(self, pictures: Iterable[Picture]) -> Embeddings:
        """Embeds pictures. One that cannot be read is a row with its error; it never raises."""
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds texts: float32, (texts, dim), of unit length."""
    def classify(
        self,
        pictures: Iterable[Picture],
        labels: Sequence[str],
        *,
        template: str | None = None,
        score: Literal["auto", "softmax", "sigmoid", "cosine", "logits"] = "auto",
    ) -> Scores:
        """Scores pictures against labels.

        template: what each label is put into, such as "a photo of a {}.".
        score: "auto" is the model's own rule.
        """
    def detect(
        self,
        pictures: Iterable[Picture],
        labels: Sequence[str],
        *,
        template: str | None = None,
        threshold: float = 0.1,
        nms: float | None = None,
    ) -> Detections:
        """Finds things by words (OWL-ViT, OWLv2): a box for each, in pixels of its picture.

        threshold: least score, 0 to 1. nms: a box that overlaps a better one by more (IoU, 0 to 1) is left out.
        """
    def segment(
        self,
        pictures: Iterable[Picture],
        labels: Sequence[str],
        *,
        template: str | None = None,
        threshold: float = 0.5,
    ) -> Masks:
        """Cuts things out by words (CLIPSeg): a mask for each label, in pixels of its picture.

        threshold: least probability of a pixel, 0 to 1.
        """
    def generate(
        self,
        pictures: Iterable[Picture],
        prompt: str | None = None,
        *,
        raw: bool = False,
        detail: Literal["auto", "low", "high"] = "auto",
        max_tokens: int = 256,
        pattern: str | None = None,
        choices: Sequence[str] | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
    ) -> Texts:
        """Writes about each picture (SmolVLM, PaliGemma, LLaVA, LLaVA-OneVision): what it shows, or what `prompt` asks.

        raw: `prompt` is what the model reads, special tokens written out, with <image> where the picture stands.
        detail: "low" sees a picture as one square, "high" in tiles where the model does; "auto" is low on the CPU, high on a GPU.
        max_tokens: most tokens of a text. pattern: a regular expression that each text matches. choices: each text is one of these.
        temperature: 0 takes the likeliest token, whatever top_k, top_p (0 to 1) and seed say. repetition_penalty: 1 is none.
        """
    @property
    def dim(self) -> int:
        """Numbers in an embedding; of a model that writes, in a token's."""
    @property
    def hash(self) -> str:
        """What tells this model from others: the browser's `modelHash`."""
    @property
    def device(self) -> str:
        """What computes: "gpu" or "cpu", a colon, and its name."""
    @property
    def format(self) -> Literal["f32", "f16", "q8", "q4"]:
        """How the weights lie on the device."""
