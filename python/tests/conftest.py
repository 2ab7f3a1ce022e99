import importlib
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

from ocelli_vision import Model

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures"
IMAGES = FIXTURES / "images"

#: What rounding in f32 moves at most, as a share of the distance between unrelated inputs: as in the Rust tests.
F32 = 2e-5


def golden(model: str) -> dict:
    """What transformers computed."""
    return json.loads((FIXTURES / model / "golden.json").read_text())


def open_model(name: str = "siglip", **options) -> Model:
    return Model(FIXTURES / name, **{"device": "cpu", "threads": 1, **options})


@pytest.fixture(scope="session")
def model() -> Model:
    return open_model()


@pytest.fixture(scope="session")
def lossless() -> list[str]:
    """Names of pictures on which decoders agree."""
    return [name for name in golden("siglip")["images"] if not name.endswith(".jpg")]


#: Tests that need what takes long to install: `./build.sh test --full`.
FULL = pytest.mark.skipif(os.environ.get("OCELLI_FULL") != "1", reason="only under --full")


def missing(what: str) -> None:
    """Leaves a test out; a failure under REQUIRE_GPU=1, as in CI."""
    if os.environ.get("REQUIRE_GPU") == "1":
        pytest.fail(f"SKIPPED, which REQUIRE_GPU=1 forbids: {what}", pytrace=False)
    pytest.skip(what)


def needs(module: str) -> ModuleType:
    """A module of another project."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing(f"expected {error.name}, found none: pip install it, as ./build.sh wheel does")
