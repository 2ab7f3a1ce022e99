"""Daft, on this machine: its rows are those of one process."""

import numpy as np
from cluster import alone
from conftest import FIXTURES, FULL, needs

from ocelli_vision import arrow


@FULL
def test_its_rows_are_those_of_one_process(tmp_path):
    daft = needs("daft")
    from ocelli_vision.daft import Embed

    expected = alone.make_pictures(tmp_path)
    embed = Embed(str(FIXTURES / "siglip"), device="cpu", threads=1)
    frame = daft.read_parquet(str(tmp_path / "pictures" / "*.parquet")).with_column("found", embed(daft.col("bytes")))
    rows = sorted(frame.to_pylist(), key=lambda row: row["id"])
    assert [row["found"]["error"] for row in rows] == expected["error"].to_pylist()
    vectors = np.array([row["found"]["vector"] for row in rows], np.float32)
    assert np.array_equal(vectors, arrow.matrix(expected)) and not np.array_equal(vectors[::-1], arrow.matrix(expected))
