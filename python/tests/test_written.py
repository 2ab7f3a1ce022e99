"""Texts are those that transformers writes, token by token; and the comparison sees when they are not."""

import json
import re

import numpy as np
import pytest
from conftest import FIXTURES, IMAGES, open_model

from ocelli_vision import OcelliError

MODELS = ["smolvlm", "paligemma", "llava", "llava-onevision"]
#: Of a probability: the reference computes in f32 itself.
OFF = 1e-4


def golden(name: str) -> dict:
    return json.loads((FIXTURES / "decoders" / name / "golden.json").read_text())


@pytest.fixture(scope="module")
def open_writer():
    """Each model once."""
    opened = {}

    def open_writer(name: str):
        if name not in opened:
            opened[name] = open_model(f"decoders/{name}")
        return opened[name]

    return open_writer


def write(model, expected: dict, picture: str | None = None, prompt: str | None = None, **options):
    picture, prompt = picture or expected["images"][0], prompt or expected["raw"]
    return model.generate([IMAGES / picture], prompt, raw=True, detail="high", **options)


@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_those_of_transformers(open_writer, name):
    expected, model = golden(name), open_writer(name)
    count = len(expected["tokens"])
    found = write(model, expected, max_tokens=count)
    assert found.tokens == [expected["tokens"]] and found.finish == ["length"]
    assert found.ok.tolist() == [True] and found.errors == [None] and len(found) == 1
    assert write(model, expected, max_tokens=3).tokens == [expected["tokens"][:3]]
    assert write(model, expected, "tall-23x97.png", max_tokens=count).tokens != found.tokens, "another picture is not seen"
    other = expected["raw"].replace("dogs", "cats")
    assert write(model, expected, prompt=other, max_tokens=count).tokens != found.tokens, "another prompt is not seen"


@pytest.mark.parametrize("name", MODELS)
def test_a_question_is_put_into_the_models_own_form(open_writer, name):
    expected, model = golden(name), open_writer(name)
    # PaliGemma's raw prompt is in its own words, in small letters.
    question = re.search("[Hh]ow many dogs are in the snow.", expected["raw"])[0]
    found = model.generate([IMAGES / expected["images"][0]] * 2, question, detail="high", max_tokens=8)
    assert found.tokens == [expected["tokens"][:8]] * 2
    assert found.texts[0] == found.texts[1] and len(found.texts[0]) > 0
    shown = model.generate([IMAGES / expected["images"][0]], detail="high", max_tokens=8)
    assert shown.tokens != found.tokens[:1], "what it shows is another prompt"


# To SmolVLM and LLaVA a blank stands before an answer, which the reference's answers are without.
@pytest.mark.parametrize("name", ["paligemma", "llava-onevision"])
def test_choices_are_as_likely_as_to_transformers(open_writer, name):
    expected = json.loads((FIXTURES / "decoders" / "choices.json").read_text())[name]
    found = write(open_writer(name), golden(name), choices=expected["choices"])
    assert found.texts == [expected["choices"][expected["best"]]] and found.finish == ["stop"]
    assert np.abs(np.array(found.probabilities[0]) - expected["probabilities"]).max() < OFF
    found = np.array(write(open_writer(name), golden(name), choices=expected["choices"][::-1]).probabilities[0])
    assert np.abs(found[::-1] - expected["probabilities"]).max() < OFF
    assert np.abs(found - expected["probabilities"]).max() > 100 * OFF, "a wrong order is not seen"


def test_texts_keep_to_a_pattern(open_writer):
    model = open_writer("smolvlm")
    found = write(model, golden("smolvlm"), pattern="[0-9]{3}-[a-c]+x")
    assert re.fullmatch("[0-9]{3}-[a-c]+x", found.texts[0]) or found.finish == ["length"]
    assert re.match("[0-9]{3}-[a-c]", found.texts[0])
    assert write(model, golden("smolvlm"), max_tokens=4).probabilities == [[]]


def test_the_seed_decides(open_writer):
    model, expected = open_writer("llava"), golden("llava")
    drawn = lambda seed: write(model, expected, max_tokens=12, temperature=1.5, seed=seed).tokens
    assert drawn(1) == drawn(1) != drawn(2)


def test_one_bad_picture_is_one_row(open_writer):
    model = open_writer("llava")
    good = IMAGES / "rgb-61x37.png"
    found = model.generate([good, b"no picture", good], "what is this", max_tokens=4)
    assert found.ok.tolist() == [True, False, True] and found.tokens[0] == found.tokens[2]
    assert (found.texts[1], found.tokens[1], found.finish[1], found.probabilities[1]) == ("", [], None, [])
    assert "expected a PNG" in found.errors[1] and found.errors[::2] == [None, None]
    long = model.generate([good], "a " * 5000, max_tokens=4)
    assert not long.ok[0] and "expected at most" in long.errors[0]
    assert len(model.generate([], "what is this")) == 0


def test_what_is_asked_wrongly_says_so(open_writer, model):
    writer, good = open_writer("llava"), [IMAGES / "rgb-61x37.png"]
    cases = {
        "wrong-model": [lambda: model.generate(good), lambda: writer.embed_images(good)],
        "bad-input": [
            lambda: writer.generate(good, raw=True),
            lambda: writer.generate(good, "what is this", raw=True),
            lambda: writer.generate(good, detail="most"),
            lambda: writer.generate(good, choices=["a"], pattern="a"),
            lambda: writer.generate(good, choices=[]),
            lambda: writer.generate(good, pattern="("),
            lambda: writer.generate(good, temperature=-1.0),
            lambda: writer.generate(str(good[0])),
            lambda: open_model("decoders/llava", towers="vision").generate(good),
        ],
    }
    for code, calls in cases.items():
        for call in calls:
            with pytest.raises(OcelliError) as raised:
                call()
            assert raised.value.code == code, raised.value
