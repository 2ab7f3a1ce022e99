"""The model as an object: errors, bad pictures, pickles, forks, threads."""

import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import FIXTURES, IMAGES, open_model

from ocelli_vision import Model, OcelliError

GOOD = IMAGES / "rgb-61x37.png"


def test_one_bad_picture_is_one_row(model):
    jpeg = (IMAGES / "photo-113x79.jpg").read_bytes()
    pictures = [
        GOOD,
        b"",
        jpeg[: len(jpeg) // 2],
        "missing.png",
        IMAGES,
        None,
        np.zeros((4, 5)),
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((100_000, 2, 3), np.uint8),
        jpeg,
    ]
    found = model.embed_images(pictures)
    assert len(found) == 11 and found.ok.tolist() == [True] + [False] * 8 + [found.ok[9], True]
    assert not found.vectors[~found.ok].any() and np.allclose(np.linalg.norm(found.vectors[found.ok], axis=1), 1)
    for row, said in enumerate(["expected a PNG", "ends too early", "missing.png", "found a folder", "NoneType", "shape (4, 5)"]):
        assert said in found.errors[row + 1], found.errors
    # What is beside a bad picture is as it is without it.
    assert np.array_equal(found.vectors[[0, 10]], model.embed_images([GOOD, jpeg]).vectors)
    assert model.embed_images([]).vectors.shape == (0, model.dim)
    scores = model.classify([b"", GOOD], ["a cat", "a dog"])
    assert scores.scores.shape == (2, 2) and scores.ok.tolist() == [False, True]
    assert model.classify([b""], ["a cat"]).errors[0] is not None


def test_what_is_asked_wrongly_says_so(model):
    cases = {
        "bad-input": [
            lambda: open_model(device="tpu"),
            lambda: open_model(device="pci:12"),
            lambda: open_model(format="q5"),
            lambda: open_model(towers="all"),
            lambda: open_model(batch=0),
            lambda: open_model(threads=0),
            lambda: model.classify([GOOD], ["a cat"], score="best"),
            lambda: model.classify([GOOD], []),
            lambda: open_model(towers="vision").embed_texts(["a cat"]),
            lambda: model.embed_images(str(GOOD)),
        ],
        "not-found": [lambda: Model("/nowhere", device="cpu")],
        "no-webgpu": [lambda: open_model(device="gpu:99"), lambda: open_model(device="pci:ffff:ff:1f.7")],
    }
    for code, calls in cases.items():
        for call in calls:
            with pytest.raises(OcelliError) as raised:
                call()
            assert raised.value.code == code, raised.value
    with pytest.raises(TypeError):
        model.embed_images(3)
    assert pickle.loads(pickle.dumps(OcelliError("gpu", "a sentence"))).code == "gpu"


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    shutil.copytree(FIXTURES / "siglip", tmp_path / "siglip")
    file = tmp_path / "siglip" / "model.safetensors"
    bytes = bytearray(file.read_bytes())
    length = int.from_bytes(bytes[:8], "little")
    start, end = json.loads(bytes[8 : 8 + length])["vision_model.post_layernorm.weight"]["data_offsets"]
    bytes[8 + length + start : 8 + length + end] = np.full((end - start) // 4, np.nan, np.float32).tobytes()
    file.write_bytes(bytes)
    with pytest.raises(OcelliError, match="post_layernorm") as raised:
        Model(tmp_path / "siglip", device="cpu", threads=1)
    assert raised.value.code == "bad-checkpoint"


def test_what_it_is(model):
    assert model.dim == 36 and len(model.hash) == 64 and model.format == "f32"
    assert model.device.startswith("cpu: ") and "siglip" in repr(model)
    assert Model(str(FIXTURES / "siglip"), device="auto").hash == model.hash
    assert open_model(towers="vision").hash == model.hash, "the browser has both"
    assert open_model("clip").hash != model.hash


def test_pickles_open_it_again_by_its_path(model, tmp_path, monkeypatch):
    expected = model.embed_images([GOOD]).vectors
    monkeypatch.chdir(FIXTURES)
    here = Model("siglip", device="cpu", format="q8", towers="vision", batch=2, threads=1)
    monkeypatch.chdir(tmp_path)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(here, protocol))
        assert (again.format, again.hash) == ("q8", model.hash)
        assert np.array_equal(again.embed_images([GOOD]).vectors, here.embed_images([GOOD]).vectors)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).embed_images([GOOD]).vectors, expected)


def ask(model, answers):
    try:
        answers.put(("vectors", model.embed_images([GOOD]).vectors))
    except OcelliError as error:
        answers.put((error.code, str(error)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_is_told_what_to_do(model):
    expected = model.embed_images([GOOD]).vectors
    for start, asked in [("fork", "make the model in the worker"), ("spawn", None)]:
        context = multiprocessing.get_context(start)
        answers = context.Queue()
        child = context.Process(target=ask, args=(model, answers))
        child.start()
        kind, answer = answers.get(timeout=60)
        child.join(60)
        assert child.exitcode == 0
        if asked:
            assert kind == "bad-input" and asked in answer
        else:
            assert np.array_equal(answer, expected)
    assert np.array_equal(model.embed_images([GOOD]).vectors, expected), "the parent goes on"


def test_threads_share_a_model(model):
    paths = [IMAGES / "rgb-61x37.png", IMAGES / "large-211x140.png", IMAGES / "tall-23x97.png"]
    expected = model.embed_images(paths).vectors
    found = [None] * 8

    def work(at):
        found[at] = [model.embed_images([path]).vectors[0] for path in paths[at % 3 :] + paths[: at % 3]]

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for at, vectors in enumerate(found):
        assert np.array_equal(np.roll(vectors, at % 3, axis=0), expected)


def test_other_threads_run_meanwhile(model):
    done, count = threading.Event(), 0

    def work():
        model.embed_images([IMAGES / "large-211x140.png"] * 300)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        count += 1
        time.sleep(0.001)
    thread.join()
    assert count > 20, "a model that kept the interpreter's lock would leave one or two"


def test_arrays_come_without_a_copy(model):
    found = model.embed_images([GOOD, GOOD])
    assert found.vectors is found.vectors and found.vectors.flags.writeable
    assert not found.vectors.flags.owndata, "its memory is Rust's"


def test_a_program_ends_with_a_model_at_work():
    program = (
        "import threading, time, sys; from ocelli_vision import Model\n"
        "model = Model(sys.argv[1], device='cpu')\n"
        "threading.Thread(target=model.embed_images, args=([sys.argv[2]] * 100_000,), daemon=True).start()\n"
        "time.sleep(0.2)"
    )
    arguments = [sys.executable, "-c", program, str(FIXTURES / "siglip"), str(GOOD)]
    assert subprocess.run(arguments, timeout=60).returncode == 0
