"""Ray Data on a real cluster: whatever is killed, every picture is there once, with the bits of one process.

The cluster runs alone in namespaces of Linux: it reaches nothing but itself, and ends with its first process.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import FIXTURES, IMAGES, open_model

from ocelli_vision import arrow

pytest.importorskip("ray")

COUNT, FILES = 120, 12
BAD = [13, 57, 98]
SEED = int(os.environ.get("OCELLI_SEED", "1"))
ALONE = ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


def namespaces() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[Path, pa.Table]:
    """A folder with pictures in Parquet files, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "pictures").mkdir()
    names = ["rgb-61x37.png", "photo-113x79.jpg", "large-211x140.png", "palette-48x29.png", "tall-23x97.png"]
    files = [(IMAGES / names[at % len(names)]).read_bytes() for at in range(COUNT)]
    for at in BAD:
        files[at] = files[at][: len(files[at]) // 2]
    ids = [f"photo {at:03}" for at in range(COUNT)]
    table = pa.table({"id": ids, "bytes": pa.array(files, pa.binary())})
    for part, start in enumerate(range(0, COUNT, COUNT // FILES)):
        pq.write_table(table.slice(start, COUNT // FILES), folder / "pictures" / f"{part:02}.parquet")
    return folder, arrow.rows(open_model(towers="vision"), ids, files)


@pytest.fixture(scope="module")
def killed(pictures) -> Path:
    if not namespaces():
        pytest.skip("expected unshare with network and process namespaces, found none: run it as root on Linux")
    folder, _ = pictures
    program = Path(__file__).parent / "cluster" / "ray_cluster.py"
    command = ["bash", "-c", 'ip link set lo up && exec "$@"', "bash", sys.executable, program, folder]
    environment = {**os.environ, "RAY_raylet_start_wait_time_s": "300"}
    # Sockets have short paths.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        arguments = [*ALONE, *command, FIXTURES / "siglip", str(SEED), temporary]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return folder


def compare(found: pa.Table, expected: pa.Table) -> None:
    """Every id once, the same bits, the same failures."""
    found = found.sort_by("id")
    assert found["id"].to_pylist() == expected["id"].to_pylist()
    bits = lambda table: arrow.matrix(table).view("u4").tolist()
    assert bits(found) == bits(expected)
    assert found["error"].to_pylist() == expected["error"].to_pylist()


@pytest.mark.parametrize("scenario", ["actor", "driver", "raylet"])
def test_nothing_is_lost_and_nothing_is_twice(killed, pictures, scenario):
    expected = pictures[1]
    assert sum(error != "" for error in expected["error"].to_pylist()) == len(BAD)
    compare(pq.read_table(killed / scenario / "out"), expected)
    processes, ids = zip(*((line.split(" ", 1)) for line in (killed / scenario / "log").read_text().splitlines()))
    assert len(set(processes)) > 2, "nothing was killed"
    # What was under way is computed again, and no more: two actors with a few batches of five.
    assert len(ids) < 1.7 * COUNT and set(ids) == set(expected["id"].to_pylist())


def test_what_is_wrong_is_seen(pictures):
    expected = pictures[1]
    compare(expected.take([*range(60, COUNT), *range(60)]), expected)
    vectors = arrow.matrix(expected).copy()
    vectors[5, 3] *= 1.0000002
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=expected["embedding"].type)
    wrong = [
        expected.slice(1),
        pa.concat_tables([expected, expected.slice(4, 1)]),
        expected.set_column(1, expected.schema.field("embedding"), column),
        expected.set_column(2, expected.schema.field("error"), pa.array([""] * COUNT)),
    ]
    for table in wrong:
        with pytest.raises(AssertionError):
            compare(table, expected)


def test_the_hand_over_parts_them(killed, pictures, tmp_path):
    model = open_model(towers="vision")
    assert arrow.hand_over(model, killed / "driver" / "out", tmp_path) == (COUNT - len(BAD), len(BAD))
    failed = pq.read_table(tmp_path / "unreadable.parquet")["id"].to_pylist()
    assert sorted(failed) == [f"photo {at:03}" for at in BAD]
