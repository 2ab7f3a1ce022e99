"""Ocelli's numbers are those of transformers; and the comparison sees when they are not."""

import numpy as np
import pytest
from conftest import F32, IMAGES, golden, open_model
from PIL import Image, ImageOps


def furthest(found: np.ndarray, expected: list, unrelated: float) -> float:
    """The largest distance of a row, as a share of that between unrelated inputs."""
    return float(np.linalg.norm(found - np.array(expected), axis=1).max() / unrelated)


@pytest.mark.parametrize("name", ["siglip", "clip", "siglip2"])
def test_embeddings_and_scores_are_those_of_transformers(name, lossless):
    expected, model = golden(name), open_model(name)
    lossless = [one for one in lossless if one in expected["images"]]
    assert len(lossless) > 8
    found = model.embed_images(IMAGES / one for one in lossless)
    assert found.ok.all() and found.errors == [None] * len(lossless)
    assert found.vectors.dtype == np.float32 and found.vectors.shape == (len(lossless), model.dim)
    right = [expected["images"][one]["embedding"] for one in lossless]
    unrelated = expected["unrelated_distance"]
    assert furthest(found.vectors, right, unrelated["image"]) < F32
    assert furthest(found.vectors, right[1:] + right[:1], unrelated["image"]) > 100 * F32, "a wrong order is not seen"

    texts = [one["text"] for one in expected["texts"]]
    vectors = model.embed_texts(texts)
    right = [one["embedding"] for one in expected["texts"]]
    assert furthest(vectors, right, unrelated["text"]) < F32
    assert furthest(vectors, right[1:] + right[:1], unrelated["text"]) > 100 * F32

    scores = model.classify([IMAGES / one for one in lossless], texts).scores
    right = np.array([expected["scores"][one] for one in lossless])
    assert np.abs(scores - right).max() < 1e-4
    logits = model.classify([IMAGES / one for one in lossless], texts, score="logits").scores
    assert np.abs(logits - right).max() > 1e-2, "another rule is not seen"


def test_bytes_paths_and_pixels_are_one_picture(model, lossless):
    paths = [IMAGES / name for name in lossless]
    expected = model.embed_images(paths).vectors
    assert np.array_equal(model.embed_images([path.read_bytes() for path in paths]).vectors, expected)
    assert np.array_equal(model.embed_images([str(path) for path in paths]).vectors, expected)
    upright = [ImageOps.exif_transpose(Image.open(path)).convert("RGBA") for path in paths]
    assert np.array_equal(model.embed_images([np.asarray(one) for one in upright]).vectors, expected)
    three = [np.asarray(one)[:, :, :3] for one in upright]
    assert np.array_equal(model.embed_images(three).vectors, expected)
    mirrored = model.embed_images([one[:, ::-1] for one in three]).vectors
    assert np.array_equal(mirrored, model.embed_images([one[:, ::-1].copy() for one in three]).vectors)
    assert not np.array_equal(mirrored, expected), "a wrong picture is not seen"


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_batches_change_nothing(model, lossless, batch):
    paths = [IMAGES / name for name in lossless]
    assert np.array_equal(open_model(batch=batch).embed_images(paths).vectors, model.embed_images(paths).vectors)


def test_formats_differ(model, lossless):
    paths = [IMAGES / name for name in lossless]
    q8 = open_model(format="q8")
    assert (model.format, q8.format, model.hash == q8.hash) == ("f32", "q8", True)
    cosines = (q8.embed_images(paths).vectors * model.embed_images(paths).vectors).sum(1)
    assert 0.99 < cosines.min() < 1 - 1e-7


def test_boxes_are_those_of_transformers():
    expected, model = golden("owlv2")["detections"][0], open_model("owlv2")
    paths = [IMAGES / expected["image"], b"no picture"]
    found = model.detect(paths, expected["labels"], threshold=expected["threshold"])
    assert found.ok.tolist() == [True, False] and found.found[1] == [] and "expected a PNG" in found.errors[1]
    right = sorted(expected["found"], key=lambda one: -one["score"])
    sides = np.array([expected["width"], expected["height"]])
    boxes = np.array([one["box"] for one in right]).reshape(-1, 2, 2).clip(0, sides)
    boxes = np.hstack([boxes[:, 0], boxes[:, 1] - boxes[:, 0]])

    def equal(found) -> bool:
        return (
            [one.index for one in found] == [one["label"] for one in right]
            and np.allclose([one.score for one in found], [one["score"] for one in right], atol=1e-4)
            and np.allclose([one.box for one in found], boxes, atol=0.02)
        )

    assert len(found.found[0]) > 5 and equal(found.found[0])
    assert all(one.label == expected["labels"][one.index] for one in found.found[0])
    assert not equal(found.found[0][::-1]), "a wrong order is not seen"
    assert not equal(model.detect(paths[:1], expected["labels"][::-1]).found[0]), "wrong labels are not seen"
    few = model.detect(paths[:1], expected["labels"], threshold=expected["threshold"], nms=0.1).found[0]
    assert 0 < len(few) < len(right)


def test_masks_are_those_of_transformers():
    expected, model = golden("clipseg"), open_model("clipseg")
    name, decided = "rgb-61x37.png", expected["images"]["rgb-61x37.png"]["decided"]
    labels = expected["prompts"][: len(decided["masks"])]
    found = model.segment([IMAGES / name, IMAGES / "missing.png"], labels, threshold=decided["threshold"])
    assert found.ok.tolist() == [True, False] and found.masks[1] is None and "missing.png" in found.errors[1]
    masks, areas = found.masks[0], [mask["area"] for mask in decided["masks"]]
    assert masks.dtype == np.bool_ and masks.shape == (len(labels), 37, 61)
    assert masks.sum((1, 2)).tolist() == areas
    other = model.segment([IMAGES / name], labels, threshold=0.9).masks[0]
    assert other.sum((1, 2)).tolist() != areas, "a wrong threshold is not seen"


def test_a_model_that_cannot_is_refused():
    from ocelli_vision import OcelliError

    with pytest.raises(OcelliError, match="detect") as raised:
        open_model("siglip").detect([], ["a cat"])
    assert raised.value.code == "wrong-model"
    with pytest.raises(OcelliError):
        open_model("owlv2").embed_images([])
