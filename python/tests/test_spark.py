"""Spark's own cluster, in batch and as a stream: whatever is killed, every picture is there once, with the bits of one process."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster import alone
from conftest import FULL, needs, open_model

from ocelli_vision import arrow

pytestmark = FULL


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[Path, pa.Table]:
    folder = tmp_path_factory.mktemp("spark")
    return folder, alone.make_pictures(folder)


@pytest.fixture(scope="module")
def killed(pictures) -> Path:
    needs("pyspark")
    alone.run("spark_cluster.py", pictures[0])
    return pictures[0]


def test_a_batch_goes_on_without_an_executor(killed, pictures):
    # At most what the executor computed is computed again.
    alone.compare_run(killed / "executor", "out", pictures[1], 2)


def test_a_stream_resumes_after_its_driver(killed, pictures):
    # A batch of two files is computed again for each of two kills.
    alone.compare_run(killed / "driver", "whole", pictures[1], 1.7)


def test_a_full_disk_and_one_that_cannot_be_written_lose_nothing(killed, pictures):
    alone.compare(pq.read_table(killed / "disk" / "whole"), pictures[1])
    assert (killed / "disk" / "kept").read_text().split()


def test_what_is_wrong_is_seen(pictures):
    alone.see_what_is_wrong(pictures[1], alone.compare)


def test_the_hand_over_takes_sparks_lists(killed, tmp_path):
    bad = len(alone.BAD)
    assert arrow.hand_over(open_model(towers="vision"), killed / "driver" / "whole", tmp_path) == (alone.COUNT - bad, bad)
