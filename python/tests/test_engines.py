"""Spark and Daft, on this machine: their rows are those of one process."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import FIXTURES, FULL, IMAGES, open_model

from ocelli_vision import arrow

OPTIONS = {"device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A Parquet file of pictures, one of them broken, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("engines")
    files = [(IMAGES / name).read_bytes() for name in ["rgb-61x37.png", "palette-48x29.png", "tall-23x97.png"]] * 4
    files[5] = b"no picture"
    ids = [f"photo {at:02}" for at in range(len(files))]
    pq.write_table(pa.table({"id": ids, "bytes": pa.array(files, pa.binary())}), folder / "pictures.parquet")
    return folder, arrow.rows(open_model(towers="vision"), ids, files)


@FULL
def test_spark_in_batch_and_as_a_stream(pictures):
    pyspark = pytest.importorskip("pyspark.sql")
    from ocelli_vision.spark import SCHEMA, embed

    folder, expected = pictures
    session = pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", False).getOrCreate()
    model = open_model(towers="vision")
    try:
        embedding = embed(str(FIXTURES / "siglip"), **OPTIONS)
        session.read.parquet(str(folder)).mapInArrow(embedding, SCHEMA).write.parquet(str(folder / "batch"))
        stream = session.readStream.schema("id string, bytes binary").parquet(str(folder / "*.parquet"))
        written = stream.mapInArrow(embedding, SCHEMA).writeStream.format("parquet")
        written = written.option("checkpointLocation", str(folder / "checkpoint")).trigger(availableNow=True)
        written.start(str(folder / "stream")).awaitTermination()
        for name in ["batch", "stream"]:
            assert arrow.hand_over(model, folder / name, folder / f"{name} out") == (11, 1)
            found = pq.read_table(folder / f"{name} out" / "embeddings.parquet").sort_by("id")
            right = expected.filter(pc.equal(expected["error"], ""))
            assert found["id"].to_pylist() == right["id"].to_pylist()
            assert np.array_equal(arrow.matrix(found), arrow.matrix(right))
    finally:
        session.stop()


@FULL
def test_daft(pictures):
    daft = pytest.importorskip("daft")
    from ocelli_vision.daft import Embed

    folder, expected = pictures
    embed = Embed(str(FIXTURES / "siglip"), **OPTIONS)
    frame = daft.read_parquet(str(folder / "pictures.parquet")).with_column("found", embed(daft.col("bytes")))
    rows = sorted(frame.to_pylist(), key=lambda row: row["id"])
    assert [row["found"]["error"] for row in rows] == expected["error"].to_pylist()
    assert np.array_equal(np.array([row["found"]["vector"] for row in rows], np.float32), arrow.matrix(expected))
