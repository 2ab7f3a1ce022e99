"""What the tests of clusters share: pictures, a program alone in namespaces of Linux, and the comparison with one process.

The program reaches nothing but itself, and what it started ends with it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import FIXTURES, IMAGES, missing, open_model

from ocelli_vision import arrow

COUNT, FILES = 120, 12
BAD = [13, 57, 98]
SEED = int(os.environ.get("OCELLI_SEED", "1"))
ALONE = ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


def namespaces() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


def make_pictures(folder: Path) -> pa.Table:
    """Pictures in Parquet files, in a folder of this one, and what one process makes of them."""
    (folder / "pictures").mkdir()
    names = ["rgb-61x37.png", "photo-113x79.jpg", "large-211x140.png", "palette-48x29.png", "tall-23x97.png"]
    files = [(IMAGES / names[at % len(names)]).read_bytes() for at in range(COUNT)]
    for at in BAD:
        files[at] = files[at][: len(files[at]) // 2]
    ids = [f"photo {at:03}" for at in range(COUNT)]
    table = pa.table({"id": ids, "bytes": pa.array(files, pa.binary())})
    for part, start in enumerate(range(0, COUNT, COUNT // FILES)):
        pq.write_table(table.slice(start, COUNT // FILES), folder / "pictures" / f"{part:02}.parquet")
    return arrow.rows(open_model(towers="vision"), ids, files)


def run(program: str, folder: Path, **environment: str) -> None:
    """Runs a program of `cluster/` on this folder, in which it kills what it starts."""
    if not namespaces():
        missing("expected unshare with network and process namespaces, found none: run it as root on Linux")
    command = ["bash", "-c", 'ip link set lo up && exec "$@"', "bash", sys.executable, Path(__file__).with_name(program), folder]
    # Sockets have short paths.
    with tempfile.TemporaryDirectory(prefix="ocelli", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        arguments = [*ALONE, *command, FIXTURES / "siglip", str(SEED), temporary]
        done = subprocess.run(arguments, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def compare(found: pa.Table, expected: pa.Table) -> None:
    """Every id once, the same bits, the same failures."""
    found = found.sort_by("id")
    assert found["id"].to_pylist() == expected["id"].to_pylist()
    assert bits(found) == bits(expected)
    assert found["error"].to_pylist() == expected["error"].to_pylist()


def bits(table: pa.Table) -> list:
    """The numbers of lists of any kind, as they lie in memory."""
    return table["embedding"].combine_chunks().flatten().to_numpy().view("u4").tolist()


def compare_run(folder: Path, out: str, expected: pa.Table, most: float) -> None:
    """Compares what a run left; workers that had computed were killed, others ended it, and at most so many times the pictures were computed."""
    compare(pq.read_table(folder / out), expected)
    workers, ids = zip(*((line.split(" ", 1)) for line in (folder / "log").read_text().splitlines()), strict=True)
    killed = set((folder / "killed").read_text().split())
    assert killed <= set(workers) and workers[-1] not in killed
    assert len(ids) < most * COUNT and set(ids) == set(expected["id"].to_pylist())


def see_runs_without_a_kill(folder: Path, expected: pa.Table) -> None:
    """Runs that are not what `compare_run` asks for: nothing was killed, or what was killed had done nothing, or went on."""
    pq.write_table(expected, folder / "out")
    ids = expected["id"].to_pylist()
    for workers, killed, right in [("79", "7", True), ("79", "9", False), ("99", "7", False), ("77", "7", False)]:
        rows = [f"{workers[at >= COUNT // 2]} {id}\n" for at, id in enumerate(ids)]
        (folder / "log").write_text("".join(rows))
        (folder / "killed").write_text(f"{killed}\n")
        with contextlib.nullcontext() if right else pytest.raises(AssertionError):
            compare_run(folder, "out", expected, 1.7)


def compare_disk(folder: Path, expected: pa.Table) -> None:
    """What was written before the disk was full is there still, and all is there in the end."""
    compare(pq.read_table(folder / "out"), expected)
    assert len((folder / "kept").read_text().split()) >= 1, "nothing was written before the disk was full"


def see_what_is_wrong(expected: pa.Table, check: Callable) -> None:
    """A comparison that must accept another order, and nothing else."""
    check(expected.take([*range(60, COUNT), *range(60)]), expected)
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
            check(table, expected)
