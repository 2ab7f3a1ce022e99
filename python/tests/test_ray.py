"""Ray Data on a real cluster: whatever is killed, and with no room left, every picture is there once, with the bits of one process."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cluster import alone
from conftest import FULL, needs, open_model

from ocelli_vision import arrow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[Path, pa.Table]:
    folder = tmp_path_factory.mktemp("ray")
    return folder, alone.make_pictures(folder)


@pytest.fixture(scope="module")
def killed(pictures) -> Path:
    needs("ray")
    # A head finds the token that an earlier `ray.init` left in the home folder, and asks for it; its nodes don't look there.
    alone.run("ray_cluster.py", pictures[0], RAY_raylet_start_wait_time_s="300", RAY_AUTH_MODE="disabled")
    return pictures[0]


@pytest.mark.parametrize("scenario", ["actor", "driver", pytest.param("raylet", marks=FULL)])
def test_nothing_is_lost_and_nothing_is_twice(killed, pictures, scenario):
    assert sum(error != "" for error in pictures[1]["error"].to_pylist()) == len(alone.BAD)
    # What was under way is computed again, and no more: two actors with a few batches of five.
    alone.compare_run(killed / scenario, "out", pictures[1], 1.7)


@FULL
def test_a_full_disk_and_one_that_cannot_be_written_lose_nothing(killed, pictures):
    alone.compare_disk(killed / "disk", pictures[1])


def test_what_is_wrong_is_seen(pictures, tmp_path):
    alone.see_what_is_wrong(pictures[1], alone.compare)
    alone.see_runs_without_a_kill(tmp_path, pictures[1])


def test_the_hand_over_parts_them(killed, pictures, tmp_path):
    model = open_model(towers="vision")
    bad = len(alone.BAD)
    assert arrow.hand_over(model, killed / "driver" / "out", tmp_path) == (alone.COUNT - bad, bad)
    failed = pq.read_table(tmp_path / "unreadable.parquet")["id"].to_pylist()
    assert sorted(failed) == [f"photo {at:03}" for at in alone.BAD]
